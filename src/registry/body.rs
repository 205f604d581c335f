//! Bodies of requests, which can be sent repeatedly, and the progress of sending them.

use std::future::Future;
use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::archive::blob::FileSlice;

/// How many bytes of a file are read at once.
const CHUNK: usize = 256 << 10;
/// How many times longer than usual a registry may be silent after it was sent a file.
const STORING_TIMES: u32 = 10;

/// The body of a request.
#[derive(Clone)]
pub(super) enum Body {
    /// No body.
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// A part of a file, which is read while it is sent.
    File(FileSlice),
}

impl Body {
    /// The number of bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(slice) => slice.len(),
        }
    }

    /// The `size` bytes from `offset` on.
    pub(super) fn part(&self, offset: u64, size: u64) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Bytes(bytes) => {
                let start = (offset as usize).min(bytes.len());
                let end = start.saturating_add(size as usize).min(bytes.len());
                Self::Bytes(bytes.slice(start..end))
            }
            Self::File(slice) => Self::File(slice.part(offset, size)),
        }
    }

    /// The body for a request, which counts what is sent in `progress`.
    pub(super) fn stream(&self, progress: &Progress) -> reqwest::Body {
        match self {
            Self::Empty => reqwest::Body::default(),
            Self::Bytes(bytes) => bytes.clone().into(),
            Self::File(slice) => {
                let chunks = Chunks { slice: slice.clone(), progress: progress.clone() };
                reqwest::Body::wrap_stream(futures_util::stream::iter(chunks))
            }
        }
    }
}

/// The bytes of a file, in pieces.
struct Chunks {
    slice: FileSlice,
    progress: Progress,
}

impl Iterator for Chunks {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.slice.len().min(CHUNK as u64) as usize;
        if size == 0 {
            return None;
        }
        self.progress.0.fetch_add(size as u64, Ordering::Relaxed);
        let mut chunk = vec![0; size];
        Some(self.slice.read_exact(&mut chunk).map(|()| chunk.into()))
    }
}

/// Counts the bytes of a file that were handed over to be sent.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Counts from zero again.
    pub(super) fn restart(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The number of bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits for `work`, which sends a file of `size` bytes or something small; `None` if nothing
    /// is sent and no answer comes for as long as `idle`. After the end of a file, the answer may
    /// take longer: some of the file is still in buffers, and a registry stores all of it first.
    pub(super) async fn within<T>(
        &self,
        idle: Duration,
        size: u64,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        let mut silence = Silence { sent: self.bytes(), periods: 0 };
        loop {
            if let Ok(done) = tokio::time::timeout(idle, &mut work).await {
                return Some(done);
            }
            if silence.is_too_long(self.bytes(), size) {
                return None;
            }
        }
    }
}

/// The periods in a row in which nothing was sent and no answer came.
struct Silence {
    /// The number of bytes that were sent before them.
    sent: u64,
    periods: u32,
}

impl Silence {
    /// Adds a period after which `sent` of `size` bytes are sent. Returns whether the registry is
    /// not waited for any longer.
    fn is_too_long(&mut self, sent: u64, size: u64) -> bool {
        self.periods = if sent == self.sent { self.periods + 1 } else { 0 };
        self.sent = sent;
        let is_complete = sent > 0 && sent >= size;
        self.periods >= if is_complete { STORING_TIMES } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of periods in a row without progress after which a request ends of which `sent`
    /// of `size` bytes were sent.
    fn periods(sent: u64, size: u64) -> u32 {
        let mut silence = Silence { sent: 0, periods: 0 };
        let first = u32::from(sent > 0 && !silence.is_too_long(sent, size));
        assert_eq!(first, u32::from(sent > 0), "there was progress");
        1 + std::iter::repeat_with(|| silence.is_too_long(sent, size)).position(|end| end).unwrap()
            as u32
    }

    #[test]
    fn the_answer_to_a_whole_file_may_take_ten_times_as_long() {
        assert_eq!(periods(0, 0), 1, "a request without a file");
        assert_eq!(periods(0, 100), 1, "a file of which nothing is sent");
        assert_eq!(periods(99, 100), 1, "a file of which something is missing");
        assert_eq!(periods(100, 100), 10);
    }

    #[test]
    fn progress_ends_a_silence() {
        let mut silence = Silence { sent: 0, periods: 0 };
        for sent in 1..100 {
            assert!(!silence.is_too_long(sent, 100));
        }
        assert!(silence.is_too_long(99, 100));
    }
}
