//! The output of a container as it arrives.

use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll};

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::docker::api;
use super::{DockerContainer, EngineError};

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
    pub(super) fn new(
        chunks: impl Stream<Item = Result<LogChunk, EngineError>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(chunks))
    }

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
        LogStream::new(logs.filter_map(move |output| ready(chunk(output))))
    }
}
