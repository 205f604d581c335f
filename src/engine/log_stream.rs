//! The output of a container as it arrives.

use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::sleep;

use super::docker::api;
use super::{CriContainer, DockerContainer, EngineError};

/// The time between two looks at a log that no API streams.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A piece of a container's output. It need not end at the end of a line or a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogChunk {
    /// From standard output, or from a terminal.
    Stdout(Bytes),
    /// From standard error.
    Stderr(Bytes),
}

impl LogChunk {
    /// Returns the bytes, whichever stream they are from.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Stdout(bytes) | Self::Stderr(bytes) => bytes,
        }
    }
}

/// The output of a container as it arrives. It ends with the container.
pub struct LogStream(Pin<Box<dyn Stream<Item = Result<LogChunk, EngineError>> + Send>>);

impl std::fmt::Debug for LogStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogStream")
    }
}

impl LogStream {
    /// Waits for the next piece; `None` if the container has ended.
    ///
    /// # Errors
    /// If the output cannot be read.
    pub async fn next(&mut self) -> Option<Result<LogChunk, EngineError>> {
        self.0.next().await
    }
}

impl Stream for LogStream {
    type Item = Result<LogChunk, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl DockerContainer {
    /// Returns the container's output from its beginning, as it arrives, until the container ends.
    pub fn follow_logs(&self) -> LogStream {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
        let logs = self.engine().logs(self.id(), Some(options));
        let chunk = |output| match output {
            Ok(LogOutput::StdErr { message }) => Some(Ok(LogChunk::Stderr(message))),
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                Some(Ok(LogChunk::Stdout(message)))
            }
            Ok(LogOutput::StdIn { .. }) => None,
            Err(error) => Some(Err(api("read the container's output")(error))),
        };
        LogStream(Box::pin(logs.filter_map(move |output| ready(chunk(output)))))
    }
}

/// The output of a container over CRI, which has no call for it: its log file is read again and
/// again.
struct Polled {
    container: CriContainer,
    /// How much of standard output and standard error has been returned.
    returned: (usize, usize),
    ended: bool,
}

impl Polled {
    /// Returns what was added since the last call; `None` after the end.
    async fn next(&mut self) -> Result<Option<Vec<LogChunk>>, EngineError> {
        if self.ended {
            return Ok(None);
        }
        // Before the log is read, so that its end is read, too.
        self.ended = !self.container.state().await?.running;
        let (stdout, stderr) = self.container.logs().await?;
        let added =
            |text: &str, from: usize| text.as_bytes().get(from..).map(Bytes::copy_from_slice);
        let chunks = [
            added(&stdout, self.returned.0).map(LogChunk::Stdout),
            added(&stderr, self.returned.1).map(LogChunk::Stderr),
        ];
        self.returned = (stdout.len(), stderr.len());
        let chunks = chunks.into_iter().flatten().filter(|chunk| !chunk.bytes().is_empty());
        let chunks: Vec<LogChunk> = chunks.collect();
        if chunks.is_empty() && !self.ended {
            sleep(POLL_INTERVAL).await;
        }
        Ok(Some(chunks))
    }
}

impl CriContainer {
    /// Returns the container's output from its beginning, as it arrives, until the container ends.
    pub fn follow_logs(&self) -> LogStream {
        let polled = Polled { container: self.clone(), returned: (0, 0), ended: false };
        let pieces = stream::try_unfold(polled, async |mut polled| {
            Ok(polled
                .next()
                .await?
                .map(|chunks| (stream::iter(chunks.into_iter().map(Ok)), polled)))
        });
        LogStream(Box::pin(futures_util::TryStreamExt::try_flatten(pieces)))
    }
}
