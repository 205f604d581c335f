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
        let (mut seen, mut silent) = (self.bytes(), 0);
        loop {
            if let Ok(done) = tokio::time::timeout(idle, &mut work).await {
                return Some(done);
            }
            let sent = self.bytes();
            silent = if sent == seen { silent + 1 } else { 0 };
            seen = sent;
            let is_complete = sent > 0 && sent >= size;
            if silent >= if is_complete { STORING_TIMES } else { 1 } {
                return None;
            }
        }
    }
}
