//! Any bytes as a compressed layer: gzip, zstd and xz.
//!
//! Invariant: decompressing never panics and takes bounded memory; no more than the limit comes
//! out; the result does not depend on how much is read at once.
#![no_main]

use std::io::{self, Read, Seek, Write};

use libfuzzer_sys::fuzz_target;
use seatrial::archive::blob::FileSlice;
use seatrial::archive::decompress::Codec;

/// A limit below the project's own, so that a decompression bomb ends soon.
const LIMIT: u64 = 4 << 20;

/// libzstd's message about a frame that contradicts itself.
const ZSTD_CORRUPTED: &str = "Data corruption detected";

fuzz_target!(|data: &[u8]| {
    let at_once = decompressed(data, 64 << 10);
    let in_pieces = decompressed(data, 777);
    match (at_once, in_pieces) {
        (Ok(one), Ok(other)) => {
            assert!(one.len() as u64 <= LIMIT);
            assert!(one == other, "{} bytes, {} in pieces", one.len(), other.len());
        }
        (Err(_), Err(_)) => {}
        // If the last block of a frame is empty, libzstd compares the size in the frame's header
        // with the content only if it decompresses the frame at once.
        (Err(error), Ok(_)) | (Ok(_), Err(error)) if error.to_string() == ZSTD_CORRUPTED => {}
        (one, other) => panic!("{:?}, in pieces {:?}", one.err(), other.err()),
    }
});

fn decompressed(data: &[u8], piece: usize) -> io::Result<Vec<u8>> {
    let mut file = tempfile::tempfile()?;
    file.write_all(data)?;
    file.rewind()?;
    let slice = FileSlice::whole(file)?;
    let mut reader = Codec::detect(&slice)?.decode(slice)?.take(LIMIT);
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
