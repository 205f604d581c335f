//! Parallel compression whose output does not depend on the number of threads.
//!
//! The stream is cut into blocks of a fixed size, which are compressed independently and written in
//! order. Each block is a member of its own for gzip (RFC 1952, section 2.2), and a frame of its
//! own for zstd (RFC 8878, section 3.1). Readers of both formats read all of them; layers with many
//! gzip members are also what eStargz images consist of.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use libdeflater::{CompressionLvl, Compressor};

use super::compression::{Compression, GZIP_LEVEL, ZSTD_LEVEL};
use super::decompress::Codec;

/// The size of a block in bytes. The output depends on it, so it never changes.
const BLOCK: usize = 1 << 20;

/// The most blocks in memory, for each thread. Blocks take different times and are written in
/// order: with two, 16 threads wait for 2 % of the time, with one more for all, for 25 %.
const BLOCKS_PER_THREAD: usize = 2;

struct Job {
    block: Vec<u8>,
    result: Sender<io::Result<Vec<u8>>>,
}

/// Compresses streams, one after the other, in blocks on its own threads.
pub struct BlockCompressor {
    codec: Codec,
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
    pending: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    block: Vec<u8>,
}

impl std::fmt::Debug for BlockCompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockCompressor").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// Receives compressed bytes.
type Output<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

impl BlockCompressor {
    /// A compressor with `threads` threads; `None` for no compression.
    pub fn new(compression: Compression, threads: usize) -> Option<Self> {
        let codec = compression.codec();
        if !matches!(codec, Codec::Gzip | Codec::Zstd) {
            return None;
        }
        let threads = threads.max(1);
        let (jobs, queue) = bounded::<Job>(BLOCKS_PER_THREAD * threads);
        let worker = |_| {
            let queue = queue.clone();
            std::thread::spawn(move || {
                let mut compressor = BlockCodec::new(codec);
                for job in queue {
                    // The receiver is dropped only if the whole build fails.
                    let _ = job.result.send(compressor.compress(&job.block));
                }
            })
        };
        Some(Self {
            codec,
            workers: (0..threads).map(worker).collect(),
            jobs: Some(jobs),
            pending: VecDeque::new(),
            block: Vec::with_capacity(BLOCK),
        })
    }

    /// Compresses the next bytes of the stream; `output` receives compressed bytes as they are
    /// ready.
    ///
    /// # Errors
    /// If compressing or `output` fails.
    pub fn push(&mut self, mut bytes: &[u8], output: Output<'_>) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.block.len() == BLOCK {
                self.submit(output)?;
            }
            let count = bytes.len().min(BLOCK - self.block.len());
            self.block.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Ends the stream; the next byte begins another stream.
    ///
    /// # Errors
    /// If compressing or `output` fails.
    pub fn finish(&mut self, output: Output<'_>) -> io::Result<()> {
        self.submit(output)?;
        while self.write_oldest(output)? {}
        Ok(())
    }

    fn submit(&mut self, output: Output<'_>) -> io::Result<()> {
        if self.pending.len() >= BLOCKS_PER_THREAD * self.workers.len() {
            self.write_oldest(output)?;
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let (result, pending) = bounded(1);
        let jobs = self.jobs.as_ref().ok_or_else(worker_lost)?;
        jobs.send(Job { block, result }).map_err(|_| worker_lost())?;
        self.pending.push_back(pending);
        Ok(())
    }

    /// Waits for the oldest block and writes it; false if there is none.
    fn write_oldest(&mut self, output: Output<'_>) -> io::Result<bool> {
        let Some(pending) = self.pending.pop_front() else {
            return Ok(false);
        };
        output(&pending.recv().map_err(|_| worker_lost())??)?;
        Ok(true)
    }
}

impl Drop for BlockCompressor {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn worker_lost() -> io::Error {
    io::Error::other("a compression thread stopped unexpectedly")
}

/// The compressor of one thread. It is reused, since clearing its tables costs less than allocating
/// them.
enum BlockCodec {
    /// With a buffer for the largest result, so that none is filled with zeros for each block.
    Gzip(Compressor, Vec<u8>),
    Zstd(zstd::bulk::Compressor<'static>),
    Broken,
}

impl BlockCodec {
    fn new(codec: Codec) -> Self {
        match codec {
            Codec::Gzip => CompressionLvl::new(GZIP_LEVEL).map_or(Self::Broken, |level| {
                let mut gzip = Compressor::new(level);
                let buffer = vec![0; gzip.gzip_compress_bound(BLOCK)];
                Self::Gzip(gzip, buffer)
            }),
            _ => zstd::bulk::Compressor::new(ZSTD_LEVEL).map_or(Self::Broken, Self::Zstd),
        }
    }

    fn compress(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(gzip, buffer) => {
                let count = gzip.gzip_compress(block, buffer).map_err(io::Error::other)?;
                Ok(buffer[..count].to_vec())
            }
            Self::Zstd(zstd) => zstd.compress(block),
            Self::Broken => Err(worker_lost()),
        }
    }
}

/// A writer that compresses into an inner writer.
#[derive(Debug)]
pub struct CompressingWriter<W> {
    inner: W,
    compressor: Option<BlockCompressor>,
}

impl<W: Write> CompressingWriter<W> {
    /// Compresses with `compression` on `threads` threads into `inner`.
    pub fn new(inner: W, compression: Compression, threads: usize) -> Self {
        Self { inner, compressor: BlockCompressor::new(compression, threads) }
    }

    /// Ends the compressed stream and returns the inner writer.
    ///
    /// # Errors
    /// If the last blocks cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        if let Some(compressor) = &mut self.compressor {
            compressor.finish(&mut |compressed| self.inner.write_all(compressed))?;
        }
        self.inner.flush()?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for CompressingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.compressor {
            None => self.inner.write(bytes),
            Some(compressor) => {
                compressor.push(bytes, &mut |compressed| self.inner.write_all(compressed))?;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn compressed(compression: Compression, threads: usize, stream: &[u8]) -> Vec<u8> {
        let mut writer = CompressingWriter::new(Vec::new(), compression, threads);
        stream.chunks(70_001).for_each(|chunk| writer.write_all(chunk).unwrap());
        writer.finish().unwrap()
    }

    #[test]
    fn the_output_does_not_depend_on_the_number_of_threads_and_decompresses_to_the_input() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 77] {
            let stream: Vec<u8> = (0..size as u64).map(|i| ((i * i) >> 7) as u8).collect();
            let gzip = compressed(Compression::Gzip, 1, &stream);
            assert_eq!(gzip, compressed(Compression::Gzip, 5, &stream));
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(&gzip[..]).read_to_end(&mut plain).unwrap();
            assert_eq!(plain, stream, "{size}");
            let zstd = compressed(Compression::Zstd, 1, &stream);
            assert_eq!(zstd, compressed(Compression::Zstd, 5, &stream));
            assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), stream, "{size}");
        }
    }
}
