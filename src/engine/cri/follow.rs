//! The output of a container over CRI as it arrives. CRI has no call for it: the file of the log is
//! read again and again, each time from where it ended before.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use tokio::time::sleep;

use super::container::CriContainer;
use super::log;
use crate::engine::{EngineError, LogChunk, LogStream};

/// The time between two looks at the file.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The most bytes of the file that are read at once.
const PART_MAX: usize = 1 << 20;

/// A log that is followed.
struct Followed {
    container: CriContainer,
    /// How many bytes of the file have been read.
    offset: u64,
    /// The beginning of a line whose end has not been read.
    line: Vec<u8>,
    ended: bool,
}

impl Followed {
    /// Returns what was added since the last call; `None` after the end.
    async fn next(&mut self) -> Result<Option<Vec<LogChunk>>, EngineError> {
        if self.ended {
            return Ok(None);
        }
        // Before the log is read, so that its end is read, too.
        let has_ended = !self.container.state().await?.running;
        let part = self.container.log(self.offset, PART_MAX).await?;
        self.offset += part.len() as u64;
        self.ended = has_ended && part.is_empty();
        if part.is_empty() && !self.ended {
            sleep(POLL_INTERVAL).await;
        }
        Ok(Some(self.chunks(&part)))
    }

    /// Returns the output in the lines that `part` completes.
    fn chunks(&mut self, part: &[u8]) -> Vec<LogChunk> {
        self.line.extend_from_slice(part);
        let end = log::end_of_lines(&self.line);
        let lines: Vec<u8> = self.line.drain(..end).collect();
        let (stdout, stderr) = log::split(&lines);
        let chunks = [LogChunk::Stdout(Bytes::from(stdout)), LogChunk::Stderr(Bytes::from(stderr))];
        chunks.into_iter().filter(|chunk| !chunk.bytes().is_empty()).collect()
    }
}

impl CriContainer {
    /// Returns the container's output from its beginning, as it arrives, until the container ends.
    pub fn follow_logs(&self) -> LogStream {
        let container = self.clone();
        let followed = Followed { container, offset: 0, line: Vec::new(), ended: false };
        let pieces = stream::try_unfold(followed, async |mut followed| {
            Ok(followed
                .next()
                .await?
                .map(|chunks| (stream::iter(chunks.into_iter().map(Ok)), followed)))
        });
        LogStream::new(pieces.try_flatten())
    }
}
