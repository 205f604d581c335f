//! Passes an image from the builder, which writes, to the engine's client, which needs a stream.
//! Only a few chunks are in memory at a time.

use std::io::{self, Write};
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::EngineError;

/// The number of chunks that may wait between the two.
const CHUNKS_MAX: usize = 8;
/// The size of a chunk in bytes.
const CHUNK_SIZE: usize = 256 << 10;

/// The writer of a [`pipe`]. Bytes that were not flushed are lost when it is dropped.
pub(crate) struct Sender {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    chunk: Vec<u8>,
    sent: u64,
}

impl Sender {
    /// The number of bytes written.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Ends the stream with an error, so that an incomplete archive does not look complete.
    pub(crate) fn fail(&self) {
        let _ = self.chunks.blocking_send(Err(io::Error::other("the image could not be built")));
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        self.sent += bytes.len() as u64;
        if self.chunk.len() >= CHUNK_SIZE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        self.chunks.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Returns a blocking writer, and the stream of the bytes that are written to it.
pub(crate) fn pipe() -> (Sender, impl Stream<Item = io::Result<Bytes>> + Send + 'static) {
    let (chunks, received) = mpsc::channel(CHUNKS_MAX);
    let stream = futures_util::stream::unfold(received, |mut received| async {
        let chunk = received.recv().await?;
        Some((chunk, received))
    });
    (Sender { chunks, chunk: Vec::with_capacity(CHUNK_SIZE), sent: 0 }, stream)
}

/// Runs `write` on a thread of its own and passes what it writes to `load` as a stream. Returns the
/// error of the side that failed first.
pub(crate) async fn transfer<T, E, F>(
    write: impl FnOnce(&mut Sender) -> Result<T, E> + Send + 'static,
    load: impl FnOnce(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>) -> F,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<EngineError> + WriteError + Send + 'static,
    F: Future<Output = Result<String, EngineError>>,
{
    let (mut sender, stream) = pipe();
    let writer = tokio::task::spawn_blocking(move || {
        let result = write(&mut sender);
        match &result {
            Ok(_) => drop(sender.flush()),
            Err(_) => sender.fail(),
        }
        result
    });
    let loaded = load(Box::pin(stream)).await;
    let written = writer.await.map_err(|e| EngineError::Unexpected(e.to_string()))?;
    match (written, loaded) {
        (Ok(value), Ok(_)) => Ok(value),
        (Err(error), Err(load_error)) if error.is_broken_pipe() => Err(load_error.into()),
        (Err(error), _) => Err(error),
        (Ok(_), Err(load_error)) => Err(load_error.into()),
    }
}

/// An error of the writing side.
pub(crate) trait WriteError {
    /// Whether the error only means that the reading side has ended.
    fn is_broken_pipe(&self) -> bool;
}
