//! Verifies an image's layers: reads them completely, checks every digest, and lists every entry.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::{Deserialize, Serialize};

use super::ArchiveError;
use super::blob::{FetchError, LayerBlob};
use super::decoder_memory::DecoderMemory;
use super::decompress::{Codec, CountingReader};
use super::image::Image;
use super::layer_tree::LayerTree;
use super::limits::Budget;
use super::tar::TarReader;
use crate::image::Digest;
use crate::image::digest::Hasher;
use crate::text;

/// A layer whose digests are correct.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifiedLayer {
    /// The size of its uncompressed tar in bytes.
    pub size: u64,
    /// The compression of its blob.
    pub codec: Codec,
    /// Its changes to the layers below.
    pub tree: LayerTree,
}

/// Reads all layers of `image` on `threads` threads and checks their digests.
///
/// # Errors
/// For the lowest layer that cannot be read, is not a tar, or does not match its digest.
pub fn layers(image: &Image, threads: usize) -> Result<Vec<VerifiedLayer>, ArchiveError> {
    arriving_layers(image, threads, |_| Some(Stored::Unchecked))
}

/// Whether the bytes of a layer as stored are known to match their digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    #[cfg(feature = "registry")]
    Checked,
    Unchecked,
}

/// Like [`layers`]. `arrival` waits for a layer; it returns `None` if the layer will not come.
pub(crate) fn arriving_layers(
    image: &Image,
    threads: usize,
    arrival: impl Fn(&LayerBlob) -> Option<Stored> + Sync,
) -> Result<Vec<VerifiedLayer>, ArchiveError> {
    for_each_arriving_layer(image, threads, arrival, verify)
}

/// Calls `work` for the layers of `image`, on `threads` threads, and returns its results, lowest
/// layer first. A layer that the image contains several times is worked on once.
///
/// # Errors
/// The error for the lowest layer that has one.
pub(super) fn for_each_layer<T: Clone + Send>(
    image: &Image,
    threads: usize,
    work: impl Fn(&Image, &LayerBlob, &Budget) -> Result<T, ArchiveError> + Sync,
) -> Result<Vec<T>, ArchiveError> {
    let arrival = |_: &LayerBlob| Some(Stored::Unchecked);
    for_each_arriving_layer(image, threads, arrival, |image, blob, budget, _| {
        work(image, blob, budget)
    })
}

fn for_each_arriving_layer<T: Clone + Send>(
    image: &Image,
    threads: usize,
    arrival: impl Fn(&LayerBlob) -> Option<Stored> + Sync,
    work: impl Fn(&Image, &LayerBlob, &Budget, Stored) -> Result<T, ArchiveError> + Sync,
) -> Result<Vec<T>, ArchiveError> {
    let next = AtomicUsize::new(0);
    let mut distinct: Vec<&LayerBlob> = Vec::new();
    let mut numbers: Vec<usize> = Vec::new();
    let mut seen = BTreeMap::new();
    for layer in &image.layers {
        let number = *seen.entry((&layer.name, layer.diff_id, layer.digest)).or_insert_with(|| {
            distinct.push(layer);
            distinct.len() - 1
        });
        numbers.push(number);
    }
    let budget = Budget::new(&image.limits, distinct.iter().map(|layer| layer.bytes.len()).sum());
    let memory = DecoderMemory::default();
    let results: Vec<Mutex<Option<_>>> = distinct.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, distinct.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((blob, slot)) = distinct.get(index).zip(results.get(index)) else {
                        return;
                    };
                    let Some(stored) = arrival(blob) else { return };
                    let share = memory.take(&blob.bytes);
                    let result = share
                        .map_err(|error| invalid_layer(image, blob, error))
                        .and_then(|_share| work(image, blob, &budget, stored));
                    if let Ok(mut slot) = slot.lock() {
                        *slot = Some(result);
                    }
                }
            });
        }
    });
    let result = |slot: Mutex<Option<_>>| {
        slot.into_inner().ok().flatten().unwrap_or(Err(ArchiveError::WorkerLost))
    };
    let results: Result<Vec<T>, _> = results.into_iter().map(result).collect();
    let results = results?;
    Ok(numbers.into_iter().map(|number| results[number].clone()).collect())
}

fn verify(
    image: &Image,
    blob: &LayerBlob,
    budget: &Budget,
    stored: Stored,
) -> Result<VerifiedLayer, ArchiveError> {
    let invalid = |error| invalid_layer(image, blob, error);
    let codec = Codec::detect(&blob.bytes).map_err(invalid)?;
    let is_unchecked = stored == Stored::Unchecked && codec != Codec::Plain;
    if let Some(digest) = blob.digest.filter(|_| is_unchecked) {
        check(image, blob, digest, Digest::of_reader(blob.bytes.clone()).map_err(invalid)?)?;
    }
    let source: Box<dyn Read + Send> = match codec {
        Codec::Plain => Box::new(blob.bytes.clone()),
        codec => Box::new(budget.reader(codec.decode(blob.bytes.clone()).map_err(invalid)?)),
    };
    let mut reader = TarReader::new(CountingReader::new(HashingReader::new(source)));
    let tree = LayerTree::read_within(&mut reader, budget).map_err(invalid)?;
    let (mut source, size) = reader.into_inner().drain().map_err(invalid)?;
    let found = source.hasher.finish();
    check(image, blob, blob.diff_id.0, found)?;
    if let (Some(digest), Codec::Plain) = (blob.digest, codec) {
        check(image, blob, digest, found)?;
    }
    Ok(VerifiedLayer { size, codec, tree })
}

/// The error for a layer that cannot be fetched or read, or is invalid.
pub(super) fn invalid_layer(image: &Image, blob: &LayerBlob, error: io::Error) -> ArchiveError {
    if FetchError::of(&error).is_some() {
        return ArchiveError::read(&blob.name)(error);
    }
    let problem = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is truncated".to_owned(),
        _ => error.to_string(),
    };
    let layer = text::shorten(&blob.name);
    ArchiveError::invalid(&image.path, format!("layer {layer}: {problem}"))
}

/// Checks the digest of a layer.
pub(super) fn check(
    image: &Image,
    blob: &LayerBlob,
    expected: Digest,
    found: Digest,
) -> Result<(), ArchiveError> {
    if expected == found {
        return Ok(());
    }
    let part = format!("layer {}", blob.name);
    Err(ArchiveError::Corrupted { path: image.path.clone(), part, expected, found })
}

/// Hashes the bytes that are read.
struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R> HashingReader<R> {
    fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::default() }
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
