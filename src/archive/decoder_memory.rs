//! The memory that decoders take: layers are decompressed at the same time only if their decoders
//! fit into memory together.

use std::io::{self, BufReader, Read};
use std::sync::{Condvar, Mutex};

use super::blob::FileSlice;
use super::decompress::{Codec, DECODER_MEMORY};
use super::invalid_data::invalid_data;
use super::tar::Skip;

/// The memory for the decoders of an image's layers.
#[derive(Debug)]
pub(super) struct DecoderMemory {
    free: Mutex<u64>,
    returned: Condvar,
}

/// A part of the memory, which is returned when this is dropped.
#[derive(Debug)]
pub(super) struct Share<'m> {
    memory: &'m DecoderMemory,
    size: u64,
}

impl Default for DecoderMemory {
    fn default() -> Self {
        Self { free: Mutex::new(DECODER_MEMORY), returned: Condvar::new() }
    }
}

impl DecoderMemory {
    /// Waits until there is memory to decompress `blob`. A thread that has a share must not take
    /// another one.
    ///
    /// # Errors
    /// If the blob cannot be read, or takes more than the limit.
    pub(super) fn take(&self, blob: &FileSlice) -> io::Result<Share<'_>> {
        let size = decoder_memory(Codec::detect(blob)?, blob)?;
        let free = self.free.lock().map_err(|_| thread_lost())?;
        let free = self.returned.wait_while(free, |free| *free < size);
        *free.map_err(|_| thread_lost())? -= size;
        Ok(Share { memory: self, size })
    }
}

fn thread_lost() -> io::Error {
    io::Error::other("a thread stopped unexpectedly")
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if let Ok(mut free) = self.memory.free.lock() {
            *free += self.size;
        }
        self.memory.returned.notify_all();
    }
}

/// The memory that decompressing `blob` takes, in bytes, if that is much.
///
/// # Errors
/// If the blob cannot be read, or takes more than the limit.
pub(super) fn decoder_memory(codec: Codec, blob: &FileSlice) -> io::Result<u64> {
    match codec {
        Codec::Plain | Codec::Gzip => Ok(0),
        Codec::Xz => Ok(DECODER_MEMORY),
        Codec::Zstd => match largest_window(blob) {
            Ok(window) if window <= DECODER_MEMORY => Ok(window),
            Ok(window) => Err(invalid_data(format!(
                "decompressing it takes {} MiB of memory, and at most {} are allowed; compress it \
                 with a smaller zstd window, at most --long=27",
                window >> 20,
                DECODER_MEMORY >> 20
            ))),
            // The decoder stops where the stream is invalid or ends, with a better message.
            Err(error) if is_malformed(&error) => Ok(DECODER_MEMORY),
            Err(error) => Err(error),
        },
    }
}

fn is_malformed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// The largest window of all frames of a zstd stream in bytes (RFC 8878, section 3.1). Reads the
/// headers of frames and blocks only.
fn largest_window(blob: &FileSlice) -> io::Result<u64> {
    let mut stream = BufReader::new(blob.clone());
    let mut largest = 0;
    while let Some(window) = next_window(&mut stream)? {
        largest = window.max(largest);
        if largest > DECODER_MEMORY {
            break;
        }
    }
    Ok(largest)
}

type Stream = BufReader<FileSlice>;

/// Skips a frame and returns the size of its window; `None` at the end of the stream.
fn next_window(stream: &mut Stream) -> io::Result<Option<u64>> {
    if stream.buffer().is_empty() && stream.get_ref().is_empty() {
        return Ok(None);
    }
    match number(stream, 4)? {
        0xfd2f_b528 => {}
        0x184d_2a50..=0x184d_2a5f => {
            let size = number(stream, 4)?;
            skip(stream, size)?;
            return Ok(Some(0));
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    }
    let descriptor = number(stream, 1)?;
    let (is_single, has_checksum) = (descriptor & 0x20 != 0, descriptor & 4 != 0);
    let mut window = 0;
    if !is_single {
        let code = number(stream, 1)?;
        let base = 1 << (10 + (code >> 3));
        window = base + base / 8 * (code & 7);
    }
    number(stream, [0, 1, 2, 4][descriptor as usize & 3])?;
    let size = match descriptor >> 6 {
        0 => number(stream, u8::from(is_single))?,
        1 => number(stream, 2)? + 256,
        2 => number(stream, 4)?,
        _ => number(stream, 8)?,
    };
    if is_single {
        // The window is the whole content.
        window = size;
    }
    skip_blocks(stream)?;
    skip(stream, if has_checksum { 4 } else { 0 })?;
    Ok(Some(window))
}

fn skip_blocks(stream: &mut Stream) -> io::Result<()> {
    loop {
        let header = number(stream, 3)?;
        match header >> 1 & 3 {
            // One byte, repeated.
            1 => skip(stream, 1)?,
            0 | 2 => skip(stream, header >> 3)?,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        if header & 1 != 0 {
            return Ok(());
        }
    }
}

/// Reads a little-endian number of `size` bytes.
fn number(stream: &mut Stream, size: u8) -> io::Result<u64> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes[..usize::from(size)])?;
    Ok(u64::from_le_bytes(bytes))
}

fn skip(stream: &mut Stream, count: u64) -> io::Result<()> {
    let buffered = (stream.buffer().len() as u64).min(count);
    io::copy(&mut stream.by_ref().take(buffered), &mut io::sink())?;
    stream.get_mut().skip(count - buffered)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn slice(bytes: &[u8]) -> FileSlice {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        FileSlice::whole(file).unwrap()
    }

    fn frame(window_log: u32, content: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_largest_window_of_all_frames_counts() {
        let content: Vec<u8> = (0..3_000_000_u64).map(|i| ((i * i) >> 9) as u8).collect();
        let mut stream = frame(20, &content);
        assert_eq!(largest_window(&slice(&stream)).unwrap(), 1 << 20);
        stream.extend(b"\x5f\x2a\x4d\x18\x03\0\0\0abc");
        stream.extend(frame(27, &content));
        stream.extend(frame(21, b""));
        assert_eq!(largest_window(&slice(&stream)).unwrap(), 1 << 27);
        // A frame that is compressed at once has no window of its own.
        let single = zstd::bulk::compress(&content[..100_000], 1).unwrap();
        assert_eq!(largest_window(&slice(&single)).unwrap(), 100_000);
    }

    #[test]
    fn windows_above_the_limit_are_rejected() {
        let memory = DecoderMemory::default();
        let error = memory.take(&slice(&frame(28, b"content"))).unwrap_err();
        assert!(error.to_string().contains("256 MiB"), "{error}");
        drop(memory.take(&slice(&frame(27, b"content"))).unwrap());
        assert_eq!(*memory.free.lock().unwrap(), DECODER_MEMORY);
    }
}
