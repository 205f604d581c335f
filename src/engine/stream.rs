//! An image on its way from the builder, which writes, to the daemon, which is sent a stream; a few chunks
//! apart, never whole.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::EngineError;

/// Chunks that may wait between the two.
const WAITING: usize = 8;
/// The size of a chunk in bytes.
const CHUNK: usize = 256 << 10;

/// The end that is written to. What was written but not flushed is lost when it is dropped.
pub(crate) struct Sender {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    chunk: Vec<u8>,
    sent: u64,
}

impl Sender {
    /// How many bytes were written to it.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Makes the stream end in an error, so that nobody takes a part for the whole.
    pub(crate) fn fail(&self) {
        let _ = self.chunks.blocking_send(Err(io::Error::other("the image could not be built")));
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        self.sent += bytes.len() as u64;
        if self.chunk.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        self.chunks.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// A writer for a thread that may block, and the stream of what is written to it.
pub(crate) fn pipe() -> (Sender, impl Stream<Item = io::Result<Bytes>> + Send + 'static) {
    let (chunks, received) = mpsc::channel(WAITING);
    let stream = futures_util::stream::unfold(received, |mut received| async {
        let chunk = received.recv().await?;
        Some((chunk, received))
    });
    (Sender { chunks, chunk: Vec::with_capacity(CHUNK), sent: 0 }, stream)
}

/// Has `write` write what `load` is given as a stream. Whichever of the two sides fails first has the last word.
pub(crate) async fn sent<T, E, F>(
    write: impl FnOnce(&mut Sender) -> Result<T, E> + Send + 'static,
    load: impl FnOnce(std::pin::Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>) -> F,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<EngineError> + Writing + Send + 'static,
    F: Future<Output = Result<String, EngineError>>,
{
    let (mut sender, stream) = pipe();
    let writer = tokio::task::spawn_blocking(move || {
        let result = write(&mut sender);
        match &result {
            Ok(_) => drop(std::io::Write::flush(&mut sender)),
            Err(_) => sender.fail(),
        }
        result
    });
    let loaded = load(Box::pin(stream)).await;
    let written = writer.await.map_err(|e| EngineError::Unexpected(e.to_string()))?;
    match (written, loaded) {
        (Ok(value), Ok(_)) => Ok(value),
        (Err(error), Err(refused)) if error.is_broken_pipe() => Err(refused.into()),
        (Err(error), _) => Err(error),
        (Ok(_), Err(refused)) => Err(refused.into()),
    }
}

/// An error of a side that writes.
pub(crate) trait Writing {
    /// Whether it is no more than that nobody reads any longer.
    fn is_broken_pipe(&self) -> bool;
}
