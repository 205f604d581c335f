//! The cache of steps: the layers that they made, by key.

use std::fs::File;
use std::io::{self, BufReader, Write};

use super::StepError;
use super::runner::{Reuse, StepLayer};
use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::archive::blob_cache::BlobCache;
use crate::archive::tar::TarReader;
use crate::files::cache_dir;
use crate::image::{DiffId, Digest};

/// The folder of the cache with everything that belongs to steps.
pub(super) const STEPS: &str = "steps";
/// The folder with the layers that steps made.
const RESULTS: &str = "results";
/// The number of bytes that are copied at a time.
const BUFFER_SIZE: usize = 256 << 10;
/// The limit for all results, in bytes.
const RESULTS_MAX: u64 = 4 << 30;

/// The layers that steps made before.
pub(super) struct Results {
    blobs: Option<BlobCache>,
    reuse: Reuse,
}

impl Results {
    pub(super) fn open(reuse: Reuse) -> Self {
        let folder = (reuse != Reuse::Nothing).then(|| cache_dir::folder(&[STEPS, RESULTS]).ok());
        let blobs = folder.flatten().map(|folder| BlobCache::new(folder, RESULTS_MAX));
        Self { blobs, reuse }
    }

    /// The layer of the step with the key `key`, which then does not run.
    pub(super) fn get(&self, key: Digest) -> Option<StepLayer> {
        (self.reuse == Reuse::Everything).then(|| self.kept(key)).flatten()
    }

    /// The layer that the step with the key `key` made before.
    pub(super) fn kept(&self, key: Digest) -> Option<StepLayer> {
        let blob = self.blobs.as_ref()?.get(DiffId(key))?;
        let digest = blob.digest;
        let mut layer = read(blob.verified()?, digest).ok()?;
        layer.cached = true;
        Some(layer)
    }

    /// Adds the layer of the step with the key `key`.
    pub(super) fn insert(&self, key: Digest, layer: &StepLayer) {
        if let Some(blobs) = &self.blobs {
            // If this fails, the step runs again; nothing else changes.
            let _ = add(blobs, key, layer.bytes.clone(), layer.diff_id.0);
            blobs.prune();
        }
    }
}

/// The layer in `tar`, whose digest is `digest`.
pub(super) fn layer(tar: File, digest: Digest) -> Result<StepLayer, StepError> {
    let bytes = FileSlice::whole(tar).map_err(ArchiveError::temporary_file)?;
    Ok(read(bytes, digest).map_err(ArchiveError::temporary_file)?)
}

fn add(blobs: &BlobCache, key: Digest, bytes: FileSlice, digest: Digest) -> io::Result<()> {
    let Some(mut writer) = blobs.begin() else { return Ok(()) };
    io::copy(&mut BufReader::with_capacity(BUFFER_SIZE, bytes), &mut writer)?;
    writer.finish(DiffId(key), digest)
}

fn read(bytes: FileSlice, digest: Digest) -> io::Result<StepLayer> {
    let mut reader = TarReader::new(bytes.clone());
    let mut entries = 0;
    while reader.next_member()?.is_some() {
        entries += 1;
    }
    Ok(StepLayer { bytes, diff_id: DiffId(digest), entries, cached: false })
}

/// Hashes what is written.
pub(super) struct HashingWriter<W> {
    pub(super) inner: W,
    pub(super) hasher: crate::image::digest::Hasher,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
