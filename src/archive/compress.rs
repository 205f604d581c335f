//! Compression on all cores that gives the same bytes on any number of them.
//!
//! The stream is cut into blocks of one size, each block is compressed by itself, and the results are put
//! together in order. For gzip the blocks form a single member, byte-aligned as RFC 1951's stored blocks
//! allow; for zstd each is a frame of its own (RFC 8878, section 3.1).

use std::collections::VecDeque;
use std::io::{self, Write};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use flate2::{Compress, Crc, FlushCompress, Status};

use super::decompress::Codec;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, level 6.
    Gzip,
    /// zstd, level 2.
    Zstd,
}

impl Compression {
    /// What a reader has to undo.
    pub fn codec(self) -> Codec {
        match self {
            Self::None => Codec::Plain,
            Self::Gzip => Codec::Gzip,
            Self::Zstd => Codec::Zstd,
        }
    }

    /// How it is done, as a name: whatever is compressed under the same name gives the same bytes. None where nothing is.
    pub fn recipe(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Gzip => Some(format!("gzip-{GZIP_LEVEL}-{}", env!("CARGO_PKG_VERSION"))),
            Self::Zstd => Some(format!("zstd-{ZSTD_LEVEL}-{}", env!("CARGO_PKG_VERSION"))),
        }
    }

    /// What the names of such files end in, with the dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

/// Fixed, because it decides the bytes.
const BLOCK: usize = 1 << 20;
const GZIP_LEVEL: u32 = 6;
/// Two thirds of the time of zstd's own default, 3, for 4 % more bytes.
const ZSTD_LEVEL: i32 = 2;
/// RFC 1952: magic, deflate, no flags, no time, no hint, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

struct Job {
    block: Vec<u8>,
    last: bool,
    done: Sender<io::Result<Packed>>,
}

struct Packed {
    bytes: Vec<u8>,
    crc: Crc,
}

/// Compresses one stream after the other, in blocks, on threads of its own.
pub struct BlockCompressor {
    codec: Codec,
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
    waiting: VecDeque<Receiver<io::Result<Packed>>>,
    block: Vec<u8>,
    begun: bool,
    crc: Crc,
}

impl std::fmt::Debug for BlockCompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockCompressor").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// Where compressed bytes go.
type Out<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

impl BlockCompressor {
    /// A compressor with `threads` workers; `None` where nothing is to be compressed.
    pub fn new(compression: Compression, threads: usize) -> Option<Self> {
        let codec = compression.codec();
        if !matches!(codec, Codec::Gzip | Codec::Zstd) {
            return None;
        }
        let threads = threads.max(1);
        let (jobs, queue) = bounded::<Job>(threads);
        let worker = |_| {
            let queue = queue.clone();
            std::thread::spawn(move || {
                let mut packer = Packer::new(codec);
                for job in queue {
                    // The other side is gone only when the whole build failed.
                    let _ = job.done.send(packer.pack(&job));
                }
            })
        };
        Some(Self {
            codec,
            workers: (0..threads).map(worker).collect(),
            jobs: Some(jobs),
            waiting: VecDeque::new(),
            block: Vec::with_capacity(BLOCK),
            begun: false,
            crc: Crc::new(),
        })
    }

    /// Takes in the next bytes of the stream; compressed ones go to `out` as they are ready.
    ///
    /// # Errors
    /// When compressing or `out` fails.
    pub fn push(&mut self, mut bytes: &[u8], out: Out<'_>) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.block.len() == BLOCK {
                self.submit(false, out)?;
            }
            let count = bytes.len().min(BLOCK - self.block.len());
            self.block.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Ends the stream; the next byte begins another.
    ///
    /// # Errors
    /// When compressing or `out` fails.
    pub fn finish(&mut self, out: Out<'_>) -> io::Result<()> {
        self.submit(true, out)?;
        while self.take(out)? {}
        if self.codec == Codec::Gzip {
            let trailer = [self.crc.sum().to_le_bytes(), self.crc.amount().to_le_bytes()];
            out(&trailer.concat())?;
        }
        self.begun = false;
        self.crc = Crc::new();
        Ok(())
    }

    fn submit(&mut self, last: bool, out: Out<'_>) -> io::Result<()> {
        if !self.begun && self.codec == Codec::Gzip {
            out(&GZIP_HEADER)?;
        }
        self.begun = true;
        if self.waiting.len() > self.workers.len() {
            self.take(out)?;
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let (done, result) = bounded(1);
        let jobs = self.jobs.as_ref().ok_or_else(lost)?;
        jobs.send(Job { block, last, done }).map_err(|_| lost())?;
        self.waiting.push_back(result);
        Ok(())
    }

    /// Hands on the oldest block; false where there is none.
    fn take(&mut self, out: Out<'_>) -> io::Result<bool> {
        let Some(result) = self.waiting.pop_front() else {
            return Ok(false);
        };
        let packed = result.recv().map_err(|_| lost())??;
        self.crc.combine(&packed.crc);
        out(&packed.bytes)?;
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

fn lost() -> io::Error {
    io::Error::other("a compression thread ended early")
}

/// What a worker compresses blocks with. Its tables are made once: clearing them costs less than making them.
enum Packer {
    Gzip(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
    Broken,
}

impl Packer {
    fn new(codec: Codec) -> Self {
        match codec {
            Codec::Gzip => Self::Gzip(Compress::new(flate2::Compression::new(GZIP_LEVEL), false)),
            _ => zstd::bulk::Compressor::new(ZSTD_LEVEL).map_or(Self::Broken, Self::Zstd),
        }
    }

    fn pack(&mut self, job: &Job) -> io::Result<Packed> {
        match self {
            Self::Gzip(deflate) => deflate_block(deflate, job),
            Self::Zstd(zstd) => Ok(Packed { bytes: zstd.compress(&job.block)?, crc: Crc::new() }),
            Self::Broken => Err(lost()),
        }
    }
}

fn deflate_block(deflate: &mut Compress, job: &Job) -> io::Result<Packed> {
    let mut crc = Crc::new();
    crc.update(&job.block);
    let mut bytes = Vec::with_capacity(job.block.len() / 2 + 1024);
    deflate.reset();
    let flush = if job.last { FlushCompress::Finish } else { FlushCompress::Sync };
    loop {
        bytes.reserve(64 << 10);
        let rest = &job.block[deflate.total_in() as usize..];
        let status = deflate.compress_vec(rest, &mut bytes, flush)?;
        let all_in = deflate.total_in() == job.block.len() as u64;
        let all_out =
            if job.last { status == Status::StreamEnd } else { bytes.len() < bytes.capacity() };
        if all_in && all_out {
            return Ok(Packed { bytes, crc });
        }
    }
}

/// A writer that compresses what it is given and writes that to `inner`.
#[derive(Debug)]
pub struct Compressed<W> {
    inner: W,
    compressor: Option<BlockCompressor>,
}

impl<W: Write> Compressed<W> {
    /// Compresses by `compression` on `threads` threads into `inner`.
    pub fn new(inner: W, compression: Compression, threads: usize) -> Self {
        Self { inner, compressor: BlockCompressor::new(compression, threads) }
    }

    /// Ends the compressed stream and hands the output back.
    ///
    /// # Errors
    /// When the last blocks cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        if let Some(compressor) = &mut self.compressor {
            compressor.finish(&mut |packed| self.inner.write_all(packed))?;
        }
        self.inner.flush()?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for Compressed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.compressor {
            None => self.inner.write(bytes),
            Some(compressor) => {
                compressor.push(bytes, &mut |packed| self.inner.write_all(packed))?;
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

    fn packed(compression: Compression, threads: usize, stream: &[u8]) -> Vec<u8> {
        let mut writer = Compressed::new(Vec::new(), compression, threads);
        stream.chunks(70_001).for_each(|chunk| writer.write_all(chunk).unwrap());
        writer.finish().unwrap()
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_number_of_threads_and_unpack_to_the_stream() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 77] {
            let stream: Vec<u8> = (0..size as u64).map(|i| ((i * i) >> 7) as u8).collect();
            let gzip = packed(Compression::Gzip, 1, &stream);
            assert_eq!(gzip, packed(Compression::Gzip, 5, &stream));
            let mut plain = Vec::new();
            // A single-member decoder: readers that know only one member must see everything.
            flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut plain).unwrap();
            assert_eq!(plain, stream, "{size}");
            let zstd = packed(Compression::Zstd, 1, &stream);
            assert_eq!(zstd, packed(Compression::Zstd, 5, &stream));
            assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), stream, "{size}");
        }
    }
}
