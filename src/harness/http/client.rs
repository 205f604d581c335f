//! One request and its answer over a connection.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, join, split};

use super::answer::{Answer, BODY_MAX};
use crate::text::errors::chain;

/// The number of bytes that are kept of what was received.
const RECEIVED_MAX: usize = 1024;

/// Sends `request` over `stream`, and reads the answer into `answer` as it arrives; its body only
/// if `needs_body` returns true for the status. An error says why the answer is not complete.
pub(super) async fn exchange<S>(
    stream: S,
    request: Request<String>,
    needs_body: impl Fn(u16) -> bool,
    answer: &mut Answer,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let received: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (reader, writer) = split(stream);
    let reader = Recorded { stream: reader, received: Arc::clone(&received) };
    let (mut sender, connection) = http1::handshake(TokioIo::new(join(reader, writer)))
        .await
        .map_err(|error| explain(&error))?;
    let connection = async {
        // Its errors are those of the request.
        let _ = connection.await;
        pending::<()>().await;
    };
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| {
            let nothing = received.lock().is_ok_and(|bytes| bytes.is_empty());
            match nothing && error.is_incomplete_message() {
                true => "the server closed the connection without an answer".to_owned(),
                false => explain(&error),
            }
        })?;
        read(response, needs_body, answer).await
    };
    let result = tokio::select! {
        biased;
        result = exchange => result,
        () = connection => Ok(()),
    };
    if answer.status.is_none() {
        answer.received = received.lock().map(|bytes| bytes.clone()).unwrap_or_default();
    }
    result
}

/// Reads a response into `answer` as it arrives.
async fn read(
    response: Response<Incoming>,
    needs_body: impl Fn(u16) -> bool,
    answer: &mut Answer,
) -> Result<(), String> {
    answer.status = Some(response.status());
    answer.headers = response.headers().clone();
    if !needs_body(response.status().as_u16()) {
        return Ok(());
    }
    let mut body = pin!(response.into_body());
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let frame = frame.map_err(|error| explain(&error))?;
        let Some(bytes) = frame.data_ref() else { continue };
        answer.body.extend_from_slice(bytes);
        if answer.body.len() > BODY_MAX {
            return Err(format!("it is larger than {} MiB", BODY_MAX >> 20));
        }
    }
    Ok(())
}

fn explain(error: &hyper::Error) -> String {
    match () {
        () if error.is_parse() => format!("it is not an answer in HTTP/1: {}", chain(error)),
        () if error.is_incomplete_message() => {
            "the server closed the connection before the end of its answer".to_owned()
        }
        () => chain(error),
    }
}

/// A stream that keeps the first bytes that were read from it.
struct Recorded<S> {
    stream: S,
    received: Arc<Mutex<Vec<u8>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Ok(mut received) = self.received.lock() {
            let room = RECEIVED_MAX.saturating_sub(received.len());
            received.extend(buffer.filled()[before..].iter().take(room));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// The status, the body and the problem of an answer that a server sends byte for byte.
    async fn answer_of(sent: &[u8]) -> (Option<u16>, String, Option<String>) {
        let (client, mut server) = duplex(1 << 16);
        let sent = sent.to_vec();
        let server = tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(server.read_u8().await.unwrap());
            }
            let _ = server.write_all(&sent).await;
        });
        let request = Request::get("/").header("host", "localhost").body(String::new()).unwrap();
        let mut answer = Answer::default();
        let result = exchange(client, request, |_| true, &mut answer).await;
        server.abort();
        let shown = if answer.status.is_some() { answer.body } else { answer.received };
        let status = answer.status.map(|status| status.as_u16());
        (status, String::from_utf8(shown).unwrap(), result.err())
    }

    fn complete(status: u16, body: &str) -> (Option<u16>, String, Option<String>) {
        (Some(status), body.to_owned(), None)
    }

    #[tokio::test]
    async fn bodies_end_with_their_length_the_last_chunk_or_the_connection() {
        let kept = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more";
        assert_eq!(answer_of(kept).await, complete(200, "ok"));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                        3;x=y\r\nchu\r\n3\r\nnks\r\n0\r\nTrailer: x\r\n\r\n";
        assert_eq!(answer_of(chunked).await, complete(200, "chunks"));
        let closed = b"HTTP/1.0 404 Not Found\r\n\r\nuntil the end";
        assert_eq!(answer_of(closed).await, complete(404, "until the end"));
        let none = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(answer_of(none).await, complete(204, ""));
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_keeps_its_beginning_and_has_a_problem() {
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no";
        let (status, body, problem) = answer_of(short).await;
        assert_eq!((status, body.as_str()), (Some(200), "o"));
        assert!(problem.unwrap().contains("end of file before message length reached"));
        let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nchu\r\n";
        let (status, body, problem) = answer_of(chunk).await;
        assert_eq!((status, body.as_str()), (Some(200), "chu"));
        assert!(problem.is_some());
        let (status, _, problem) = answer_of(b"").await;
        let closed = "the server closed the connection without an answer".to_owned();
        assert_eq!((status, problem), (None, Some(closed)));
    }

    #[tokio::test]
    async fn what_is_not_http_is_shown() {
        let (status, received, problem) = answer_of(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        assert_eq!((status, received.as_str()), (None, "SSH-2.0-OpenSSH_9.2\r\n"));
        assert!(problem.unwrap().starts_with("it is not an answer in HTTP/1"));
    }

    #[tokio::test]
    async fn a_body_of_more_than_16_mib_is_a_problem() {
        let mut sent = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        sent.resize(sent.len() + BODY_MAX, b'x');
        assert_eq!(answer_of(&sent).await.2, None);
        sent.push(b'x');
        assert_eq!(answer_of(&sent).await.2.as_deref(), Some("it is larger than 16 MiB"));
    }
}
