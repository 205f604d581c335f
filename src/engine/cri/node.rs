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
use crate::engine::run::OUTPUT_MAX;

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
            let mut reply = String::new();
            match from.read_to_string(&mut reply).await {
                Err(error) if reply.is_empty() => Err(write_error.unwrap_or(error)),
                _ => Ok(reply),
            }
        };
        let failed = |problem: &str| connection_error("load the image", problem);
        let reply = imported.await.map_err(|error| failed(&error.to_string()))?;
        match parse_reply(&reply) {
            Some((output, 0)) => Ok(output.to_owned()),
            Some((output, _)) => Err(EngineError::Load(output.to_owned())),
            None => {
                let start = reply.escape_debug();
                Err(failed(&format!("the connection closed too early, after \"{start}\"")))
            }
        }
    }

    /// Returns the current content of the log file at `path`.
    pub(super) async fn log(&self, path: &str) -> Result<String, EngineError> {
        let read = async {
            let (stream, mut reply) = (self.send(&format!("log {path}")).await?, Vec::new());
            stream.take(LOG_MAX).read_to_end(&mut reply).await?;
            std::io::Result::Ok(reply)
        };
        let action = format!("read {path}");
        let failed = |problem: &str| connection_error(&action, problem);
        let late = |_| EngineError::Timeout { action: action.clone(), limit: CALL_TIMEOUT };
        let reply = timeout(CALL_TIMEOUT, read).await.map_err(late)?;
        let reply = reply.map_err(|error| failed(&error.to_string()))?;
        if reply.len() as u64 == LOG_MAX {
            return Err(EngineError::OutputTooLarge);
        }
        match parse_reply(&String::from_utf8_lossy(&reply)) {
            Some((log, 0)) => Ok(log.to_owned()),
            Some((problem, _)) => Err(failed(problem)),
            None => Err(failed("the connection closed too early")),
        }
    }

    /// Returns the content of the log file at `path` from `offset` on, up to [`PART_MAX`] bytes.
    /// The node sends what comes before, too; it is not kept.
    pub(super) async fn log_from(&self, path: &str, offset: u64) -> Result<Vec<u8>, EngineError> {
        let read = async {
            let mut stream = self.send(&format!("log {path}")).await?;
            let mut part = Vec::new();
            tokio::io::copy(&mut (&mut stream).take(offset), &mut tokio::io::sink()).await?;
            stream.take(PART_MAX + END_MAX).read_to_end(&mut part).await?;
            std::io::Result::Ok(part)
        };
        let action = format!("read {path}");
        let late = |_| EngineError::Timeout { action: action.clone(), limit: CALL_TIMEOUT };
        let part = timeout(CALL_TIMEOUT, read).await.map_err(late)?;
        let mut part = part.map_err(|error| connection_error(&action, &error.to_string()))?;
        if part.len() as u64 == PART_MAX + END_MAX {
            part.truncate(PART_MAX as usize);
            return Ok(part);
        }
        let output = output_length(&part).map_err(|problem| connection_error(&action, &problem))?;
        part.truncate(output);
        Ok(part)
    }
}

/// The most bytes of a log file that are read at once.
const PART_MAX: u64 = 1 << 20;
/// The most bytes of the end of a reply: a newline and `ended CODE`.
const END_MAX: u64 = 16;
/// The size limit of a log file. Each line of output has its time and stream in front of it.
const LOG_MAX: u64 = 2 * OUTPUT_MAX as u64;

fn connection_error(action: &str, problem: &str) -> EngineError {
    EngineError::Cri { action: action.to_owned(), problem: problem.to_owned(), answered: false }
}

/// Splits a reply into the output and the exit code, which is the last line: `ended CODE`. Returns
/// `None` if that line is missing, because the reply is then incomplete.
fn parse_reply(reply: &str) -> Option<(&str, u32)> {
    let (output, last) =
        reply.trim_end_matches('\n').rsplit_once('\n').unwrap_or(("", reply.trim_end()));
    let code = last.strip_prefix("ended ")?.parse().ok()?;
    Some((output, code))
}

/// Returns how many bytes of the end of a successful reply are output.
fn output_length(reply: &[u8]) -> Result<usize, String> {
    let end = reply.trim_ascii_end().iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    match parse_reply(String::from_utf8_lossy(&reply[end..]).trim_start()) {
        Some((_, 0)) => Ok(end),
        Some((_, code)) => Err(format!("the node ended with code {code}")),
        None => Err("the connection closed too early".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_in_the_last_line_and_a_reply_without_it_is_incomplete() {
        assert_eq!(parse_reply("unpacking\ndone\nended 0\n"), Some(("unpacking\ndone", 0)));
        assert_eq!(parse_reply("ended 1\n"), Some(("", 1)));
        assert_eq!(parse_reply("unpacking\n"), None);
        assert_eq!(parse_reply(""), None);
    }
    #[test]
    fn the_end_of_a_reply_is_no_output() {
        assert_eq!(output_length(b"a\nb\n\nended 0\n"), Ok(4));
        assert_eq!(output_length(b"a\nb\nended 0\n"), Ok(3));
        assert_eq!(output_length(b"\nended 0\n"), Ok(0));
        assert!(output_length(b"cat: x\n\nended 1\n").unwrap_err().contains("code 1"));
        assert!(output_length(b"a\nb\n").unwrap_err().contains("too early"));
    }
}
