//! Data that the project compresses.
//!
//! Invariant: what is compressed is decompressed to the same bytes, and the compressed bytes depend
//! neither on the number of threads nor on how the data arrives.
#![no_main]

use std::io::{Cursor, Read};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use seatrial::archive::Compression;
use seatrial::archive::compress::BlockCompressor;

#[derive(Arbitrary, Debug)]
struct Input {
    zstd: bool,
    threads: u8,
    piece: u16,
    /// The data is repeated up to this size: blocks have 1 MiB.
    size: u32,
    data: Vec<u8>,
}

const SIZE_MAX: usize = (2 << 20) + 2;

fuzz_target!(|input: Input| {
    let Input { zstd, threads, piece, size, data } = input;
    let compression = if zstd { Compression::Zstd } else { Compression::Gzip };
    let size = if size % 8 == 0 { size as usize / 8 % SIZE_MAX } else { data.len() };
    let data: Vec<u8> = match data.is_empty() {
        true => vec![0; size],
        false => data.iter().copied().cycle().take(size).collect(),
    };
    let packed = compressed(compression, 1, usize::MAX, &data);
    let threads = 1 + usize::from(threads % 4);
    assert!(packed == compressed(compression, threads, usize::from(piece).max(100), &data));
    let mut unpacked = Vec::new();
    let reader = compression.codec().decode(Cursor::new(packed));
    reader.and_then(|mut reader| reader.read_to_end(&mut unpacked)).expect("it is decompressed");
    assert!(unpacked == data);
});

fn compressed(compression: Compression, threads: usize, piece: usize, data: &[u8]) -> Vec<u8> {
    let mut compressor = BlockCompressor::new(compression, threads).expect("a compressor");
    let mut packed = Vec::new();
    let mut take = |bytes: &[u8]| {
        packed.extend_from_slice(bytes);
        Ok(())
    };
    for piece in data.chunks(piece) {
        compressor.push(piece, &mut take).expect("memory takes it");
    }
    compressor.finish(&mut take).expect("memory takes it");
    packed
}
