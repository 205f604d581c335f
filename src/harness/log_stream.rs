//! The output of a container as it arrives, for a limited time.

use std::time::Duration;

use futures_util::{Stream, stream};

use super::describe::describe_output;
use super::error::HarnessError;
use crate::engine::{self, Clock, LogChunk};

/// The most bytes that are kept of each stream, for an error.
const KEPT_MAX: usize = 4096;

/// The output of a container as it arrives. It ends with the container.
#[derive(Debug)]
pub struct LogStream {
    chunks: engine::LogStream,
    image: String,
    clock: Clock,
    limit: Duration,
    /// When the container must have ended, by the clock.
    deadline: Duration,
    /// The end of standard output and of standard error.
    kept: [Vec<u8>; 2],
    ended: bool,
}

impl LogStream {
    pub(super) fn new(
        chunks: engine::LogStream,
        image: String,
        clock: Clock,
        limit: Duration,
    ) -> Self {
        let deadline = clock.now() + limit;
        Self { chunks, image, clock, limit, deadline, kept: Default::default(), ended: false }
    }

    /// Waits for the next piece; `None` if the container has ended, or after an error.
    ///
    /// # Errors
    /// If the output cannot be read, or the container still runs after the time limit
    /// ([`StillRunning`](HarnessError::StillRunning)).
    pub async fn next(&mut self) -> Option<Result<LogChunk, HarnessError>> {
        if self.ended {
            return None;
        }
        let left = self.deadline.saturating_sub(self.clock.now());
        let chunk = match self.clock.timeout(left, self.chunks.next()).await {
            Some(Some(Ok(chunk))) => {
                self.keep(&chunk);
                return Some(Ok(chunk));
            }
            Some(None) => None,
            Some(Some(Err(error))) => Some(Err(error.into())),
            None => Some(Err(self.still_running())),
        };
        self.ended = true;
        chunk
    }

    /// Returns the pieces as a [`Stream`].
    pub fn into_stream(self) -> impl Stream<Item = Result<LogChunk, HarnessError>> + Send {
        stream::unfold(self, async |mut logs| Some((logs.next().await?, logs)))
    }

    fn keep(&mut self, chunk: &LogChunk) {
        let kept = match chunk {
            LogChunk::Stdout(_) => &mut self.kept[0],
            LogChunk::Stderr(_) => &mut self.kept[1],
        };
        kept.extend_from_slice(chunk.bytes());
        kept.drain(..kept.len().saturating_sub(KEPT_MAX));
    }

    fn still_running(&self) -> HarnessError {
        let [stdout, stderr] = self.kept.each_ref().map(|bytes| String::from_utf8_lossy(bytes));
        let (image, output) = (self.image.clone(), describe_output(&stdout, &stderr));
        HarnessError::StillRunning { image, limit: self.limit, output }
    }
}
