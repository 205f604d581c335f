//! Reads an image's layers whole: every digest computed anew, every entry listed.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::ArchiveError;
use super::blob::LayerBlob;
use super::decompress::{Codec, Counted, bomb_limit};
use super::open::Image;
use super::tar::TarReader;
use super::tree::LayerTree;
use crate::image::DiffId;
use crate::image::digest::Hasher;

/// What a layer holds.
#[derive(Debug)]
pub struct LayerFacts {
    /// The size of its uncompressed tar in bytes.
    pub size: u64,
    /// The compression it is stored in.
    pub codec: Codec,
    /// What it lays over the layers below.
    pub tree: LayerTree,
}

/// Reads all layers of `image` on `threads` threads and checks them against their digests.
///
/// # Errors
/// For the lowest layer that cannot be read, is no tar, or has another digest than the image says.
pub fn layers(image: &Image, threads: usize) -> Result<Vec<LayerFacts>, ArchiveError> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<_>>> = image.layers.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, image.layers.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((blob, slot)) = image.layers.get(index).zip(done.get(index)) else {
                        return;
                    };
                    let facts = layer(image, blob);
                    if let Ok(mut slot) = slot.lock() {
                        *slot = Some(facts);
                    }
                }
            });
        }
    });
    let taken = |slot: Mutex<Option<_>>| {
        slot.into_inner().ok().flatten().unwrap_or(Err(ArchiveError::Lost))
    };
    done.into_iter().map(taken).collect()
}

fn layer(image: &Image, blob: &LayerBlob) -> Result<LayerFacts, ArchiveError> {
    let broken = |error: io::Error| {
        let problem = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it is cut short".to_owned(),
            _ => error.to_string(),
        };
        ArchiveError::invalid(&image.path, format!("layer {}: {problem}", blob.place))
    };
    let codec = Codec::detect(&blob.bytes).map_err(broken)?;
    if let (Some(digest), false) = (blob.digest, codec == Codec::Plain) {
        let mut stored = Hashing::new(blob.bytes.clone());
        io::copy(&mut stored, &mut io::sink()).map_err(broken)?;
        check(image, blob, DiffId(digest), DiffId(stored.hasher.finish()))?;
    }
    let limit = if codec == Codec::Plain { u64::MAX } else { bomb_limit(blob.bytes.len()) };
    let source = codec.decode(blob.bytes.clone()).map_err(broken)?;
    let mut reader = TarReader::new(Counted::new(Hashing::new(source), limit));
    let tree = LayerTree::read(&mut reader).map_err(broken)?;
    let (mut source, size) = reader.into_inner().drain().map_err(broken)?;
    check(image, blob, blob.diff_id, DiffId(source.hasher.finish()))?;
    Ok(LayerFacts { size, codec, tree })
}

fn check(
    image: &Image,
    blob: &LayerBlob,
    expected: DiffId,
    found: DiffId,
) -> Result<(), ArchiveError> {
    if expected == found {
        return Ok(());
    }
    let what = format!("layer {}", blob.place);
    Err(ArchiveError::Corrupted {
        path: image.path.clone(),
        what,
        expected: expected.0,
        found: found.0,
    })
}

/// Hashes what is read.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::default() }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
