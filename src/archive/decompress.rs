//! Detects compressed streams by their first bytes, and decompresses them.

use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use serde::{Deserialize, Serialize};

use super::blob::FileSlice;
use super::tar::Skip;

/// The compression of an image or layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// No compression.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// The xz format.
    Xz,
}

/// The most memory that one decoder may take, and all decoders of an image together, in bytes.
/// Container engines accept zstd windows of 512 MiB, the `zstd` command by default the same as
/// this: those of its levels 1 to 22. `xz -9` needs 65 MiB.
pub(super) const DECODER_MEMORY: u64 = 128 << 20;

impl Codec {
    /// Detects the compression of `bytes`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn detect(bytes: &FileSlice) -> io::Result<Self> {
        let mut magic = [0; 6];
        let length = bytes.len().min(6) as usize;
        bytes.part(0, 6).read_exact(&mut magic[..length])?;
        Ok(match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame, with which pzstd begins (RFC 8878, section 3.1.2).
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Self::Xz,
            _ => Self::Plain,
        })
    }

    /// The compression's name, for messages and media types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }

    /// Returns a reader that decompresses `source`.
    ///
    /// # Errors
    /// If the decoder cannot be created.
    pub fn decode<'a>(
        self,
        source: impl Read + Send + 'a,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        const BUFFER: usize = 128 << 10;
        Ok(match self {
            Self::Plain => Box::new(source),
            Self::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, source))),
            Self::Zstd => Box::new(zstd::Decoder::new(source)?),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(DECODER_MEMORY, CONCATENATED)
                    .map_err(io::Error::other)?;
                Box::new(XzDecoder::new_stream(BufReader::with_capacity(BUFFER, source), stream))
            }
        })
    }
}

/// Counts the bytes that are read; skips by reading.
pub struct CountingReader<R> {
    inner: R,
    scratch: Box<[u8]>,
    count: u64,
}

impl<R: Read> CountingReader<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, scratch: vec![0; 64 << 10].into(), count: 0 }
    }

    /// Reads to the end, and returns the inner reader and the number of all bytes.
    ///
    /// # Errors
    /// If reading fails.
    pub fn drain(mut self) -> io::Result<(R, u64)> {
        let mut scratch = std::mem::take(&mut self.scratch);
        while self.read(&mut scratch)? > 0 {}
        Ok((self.inner, self.count))
    }
}

impl<R> std::fmt::Debug for CountingReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CountingReader").field("count", &self.count).finish_non_exhaustive()
    }
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl<R: Read> Skip for CountingReader<R> {
    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        while count > 0 {
            let most = count.min(scratch.len() as u64) as usize;
            match self.read(&mut scratch[..most])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => count -= read as u64,
            }
        }
        self.scratch = scratch;
        Ok(())
    }
}
