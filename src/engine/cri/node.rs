//! A client of the helper program in the guest (`vm/guest/files/usr/lib/seatrial/node`), which
//! imports image archives and reads log files. It shares the runtime's port: connections whose TLS
//! server name is `node.localhost` reach it, and `stream.localhost` the runtime's streaming server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::engine::EngineError;

/// The address of the helper program, and the client certificate for it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    port: u16,
    tls: Arc<ClientConfig>,
}

/// A connection to the node.
pub(super) type Connection = TlsStream<TcpStream>;

/// The TLS server name of the helper program.
const HELPER: &str = "node.localhost";
/// The TLS server name of the runtime's streaming server.
const STREAMING_SERVER: &str = "stream.localhost";
/// The timeout of a call to the node. An emulated node takes some seconds to create a pod.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(120);

impl Node {
    pub(super) fn new(port: u16, tls: ClientConfig) -> Self {
        Self { port, tls: Arc::new(tls) }
    }

    async fn connect(&self, name: &'static str) -> std::io::Result<Connection> {
        let name = ServerName::try_from(name).map_err(std::io::Error::other)?;
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        TlsConnector::from(self.tls.clone()).connect(name, stream).await
    }

    /// Connects to the runtime's streaming server, which speaks HTTP.
    pub(super) async fn streaming_server(&self) -> std::io::Result<Connection> {
        self.connect(STREAMING_SERVER).await
    }

    /// Connects to the helper program and sends `command` as the first line.
    async fn send(&self, command: &str) -> std::io::Result<Connection> {
        let mut stream = self.connect(HELPER).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        Ok(stream)
    }

    /// Imports an image archive, and returns the output of the import.
    pub(super) async fn import(
        &self,
        archive: impl Stream<Item = std::io::Result<Bytes>> + Send,
    ) -> Result<String, EngineError> {
        let imported = async {
            let mut archive = std::pin::pin!(archive);
            let stream = self.send("import").await?;
            let (mut from, mut to) = tokio::io::split(stream);
            let mut write_error = None;
            while let Some(bytes) = archive.next().await {
                // A program that rejects the archive stops reading; its output has the reason.
                if let Err(error) = to.write_all(&bytes?).await {
                    write_error = Some(error);
                    break;
                }
            }
            if write_error.is_none() {
                to.shutdown().await?;
            }
            let mut reply = Vec::new();
            match from.read_to_end(&mut reply).await {
                Err(error) if reply.is_empty() => Err(write_error.unwrap_or(error)),
                _ => Ok(reply),
            }
        };
        let failed = |problem: &str| connection_error("load the image", problem);
        let reply = imported.await.map_err(|error| failed(&error.to_string()))?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        match parse_reply(&reply) {
            Some((output, 0)) => Ok(text(output)),
            Some((output, _)) => Err(EngineError::Load(text(output))),
            None => {
                let start = crate::text::bytes(&reply);
                Err(failed(&format!("the connection closed too early, after \"{start}\"")))
            }
        }
    }

    /// Returns the content of the log file at `path` from `offset` on, up to `limit` bytes. A file
    /// that does not exist is empty.
    pub(super) async fn log(
        &self,
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, EngineError> {
        let most = limit + END_MAX;
        let read = async {
            let stream = self.send(&format!("log {path} {offset}")).await?;
            let mut reply = Vec::new();
            stream.take(most as u64).read_to_end(&mut reply).await?;
            std::io::Result::Ok(reply)
        };
        let action = format!("read {path}");
        let failed = |problem: &str| connection_error(&action, problem);
        let late = |_| EngineError::Timeout { action: action.clone(), limit: CALL_TIMEOUT };
        let reply = timeout(CALL_TIMEOUT, read).await.map_err(late)?;
        let mut reply = reply.map_err(|error| failed(&error.to_string()))?;
        let length = match parse_reply(&reply) {
            _ if reply.len() == most => limit,
            Some((log, 0)) => log.len().min(limit),
            Some((problem, _)) => return Err(failed(String::from_utf8_lossy(problem).trim_end())),
            None => return Err(failed("the connection closed too early")),
        };
        reply.truncate(length);
        Ok(reply)
    }
}

/// The most bytes of the end of a reply: a newline and `ended CODE`.
const END_MAX: usize = 16;

fn connection_error(action: &str, problem: &str) -> EngineError {
    EngineError::Cri { action: action.to_owned(), problem: problem.to_owned(), answered: false }
}

/// Splits a reply into the output and the exit code, which is the last line: `ended CODE`. Returns
/// `None` if that line is missing, because the reply is then incomplete.
fn parse_reply(reply: &[u8]) -> Option<(&[u8], u32)> {
    let reply = reply.strip_suffix(b"\n")?;
    let end = reply.iter().rposition(|byte| *byte == b'\n');
    let last = std::str::from_utf8(&reply[end.map_or(0, |end| end + 1)..]).ok()?;
    let code = last.strip_prefix("ended ")?.parse().ok()?;
    Some((&reply[..end.unwrap_or(0)], code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_in_the_last_line_and_a_reply_without_it_is_incomplete() {
        assert_eq!(parse_reply(b"unpacking\ndone\nended 0\n"), Some((&b"unpacking\ndone"[..], 0)));
        assert_eq!(parse_reply(b"ended 1\n"), Some((&b""[..], 1)));
        assert_eq!(parse_reply(b"\xff\n\n\nended 0\n"), Some((&b"\xff\n\n"[..], 0)));
        for incomplete in [&b"unpacking\n"[..], b"", b"a\nended 1", b"a\nended"] {
            assert_eq!(parse_reply(incomplete), None);
        }
    }
}
