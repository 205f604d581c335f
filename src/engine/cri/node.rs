//! The program of a node that imports images and shows logs (`vm/guest/files/usr/lib/seatrial/node`). It is reached through
//! the runtime's own port: who asks for `node.localhost` in the TLS handshake gets it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ANSWER;
use crate::engine::EngineError;
use crate::engine::run::OUTPUT_MAX;

/// The way to it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    port: u16,
    tls: Arc<ClientConfig>,
}

const NAME: &str = "node.localhost";

impl Node {
    pub(super) fn new(port: u16, tls: ClientConfig) -> Self {
        Self { port, tls: Arc::new(tls) }
    }

    async fn ask(&self, question: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(NAME).map_err(std::io::Error::other)?;
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let mut stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await?;
        stream.write_all(format!("{question}\n").as_bytes()).await?;
        Ok(stream)
    }

    /// Imports an archive; gives what was said of it.
    pub(super) async fn import(
        &self,
        archive: impl Stream<Item = std::io::Result<Bytes>> + Send,
    ) -> Result<String, EngineError> {
        let imported = async {
            let mut archive = std::pin::pin!(archive);
            let stream = self.ask("import").await?;
            let (mut from, mut to) = tokio::io::split(stream);
            let mut refused = None;
            while let Some(bytes) = archive.next().await {
                // Who refuses an archive reads no more of it, and has said why.
                if let Err(error) = to.write_all(&bytes?).await {
                    refused = Some(error);
                    break;
                }
            }
            if refused.is_none() {
                to.shutdown().await?;
            }
            let mut said = String::new();
            match from.read_to_string(&mut said).await {
                Err(error) if said.is_empty() => Err(refused.unwrap_or(error)),
                _ => Ok(said),
            }
        };
        let lost = |problem: &str| unanswered("loading the image", problem);
        let said = imported.await.map_err(|error| lost(&error.to_string()))?;
        match ended(&said) {
            Some((said, 0)) => Ok(said.to_owned()),
            Some((said, _)) => Err(EngineError::Load(said.to_owned())),
            None => Err(lost(&format!("the answer was cut off; it said {said:?}"))),
        }
    }

    /// The log at `path`, as it is now.
    pub(super) async fn log(&self, path: &str) -> Result<String, EngineError> {
        let read = async {
            let (stream, mut text) = (self.ask(&format!("log {path}")).await?, Vec::new());
            stream.take(LOG_MAX).read_to_end(&mut text).await?;
            std::io::Result::Ok(text)
        };
        let unread = |problem: &str| unanswered(&format!("reading {path}"), problem);
        let late = |_| EngineError::Deadline { doing: format!("reading {path}"), limit: ANSWER };
        let text = timeout(ANSWER, read).await.map_err(late)?.map_err(|error| unread(&error.to_string()))?;
        if text.len() as u64 == LOG_MAX {
            return Err(EngineError::Output);
        }
        match ended(&String::from_utf8_lossy(&text)) {
            Some((log, 0)) => Ok(log.to_owned()),
            Some((problem, _)) => Err(unread(problem)),
            None => Err(unread("it was cut off")),
        }
    }
}

/// The most bytes of a log that are read: each line has its time and its stream before it.
const LOG_MAX: u64 = 2 * OUTPUT_MAX as u64;

fn unanswered(doing: &str, problem: &str) -> EngineError {
    EngineError::Cri { doing: doing.to_owned(), problem: problem.to_owned(), answered: false }
}

/// What was said, and how it ended, which the last line says.
fn ended(text: &str) -> Option<(&str, u32)> {
    let (said, last) = text.trim_end_matches('\n').rsplit_once('\n').unwrap_or(("", text.trim_end()));
    let code = last.strip_prefix("ended ")?.parse().ok()?;
    Some((said, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_how_it_ended_and_without_it_nothing_counts() {
        assert_eq!(ended("unpacking\ndone\nended 0\n"), Some(("unpacking\ndone", 0)));
        assert_eq!(ended("ended 1\n"), Some(("", 1)));
        assert_eq!(ended("unpacking\n"), None);
        assert_eq!(ended(""), None);
    }
}
