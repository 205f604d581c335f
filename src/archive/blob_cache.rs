//! A cache of compressed layers by diff ID, so that no layer is compressed twice.
//!
//! Each file is a blob followed by its digest. Files are created atomically. Damaged ones are
//! removed when they are read, and the least recently used ones when the cache exceeds its limit.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::blob::FileSlice;
use super::write;
use crate::cache_dir;
use crate::image::digest::Hasher;
use crate::image::{DiffId, Digest};

/// A folder of compressed layers.
#[derive(Clone, Debug)]
pub struct BlobCache {
    folder: PathBuf,
    limit: u64,
}

/// A compressed layer from the cache.
#[derive(Clone, Debug)]
pub struct CachedBlob {
    /// The compressed bytes.
    pub(crate) bytes: FileSlice,
    /// Their digest.
    pub(crate) digest: Digest,
}

/// The size of a digest in bytes.
const DIGEST_SIZE: u64 = 32;
/// The names of unfinished files begin with this.
const UNFINISHED: &str = ".new-";
/// The age at which an unfinished file is certainly from a process that was killed.
const UNFINISHED_MAX_AGE: Duration = Duration::from_secs(3600);

impl BlobCache {
    /// The cache in `folder`, which must exist and is for one kind of compression, of at most
    /// `limit` bytes.
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit }
    }

    fn path(&self, diff_id: DiffId) -> PathBuf {
        self.folder.join(diff_id.0.hex())
    }

    /// Returns the compressed layer with the diff ID `diff_id`, after checking its digest.
    pub fn get(&self, diff_id: DiffId) -> Option<CachedBlob> {
        let path = self.path(diff_id);
        let file = File::options().read(true).write(true).open(&path).ok()?;
        if !cache_dir::is_own(&file.metadata().ok()?) {
            return None;
        }
        // `prune` removes the files with the oldest modification times.
        let _ = file.set_modified(SystemTime::now());
        let blob = read(file);
        if blob.is_none() {
            let _ = fs::remove_file(&path);
        }
        blob
    }

    /// Begins a new blob.
    pub(crate) fn begin(&self) -> Option<BlobWriter> {
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder).ok()?;
        Some(BlobWriter { file })
    }

    /// Removes the oldest blobs until the rest is within the limit, and files that killed processes
    /// left unfinished.
    pub fn prune(&self) {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<_> = files
            .filter_map(|file| {
                let metadata = file.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), file.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (modified, size, path) in files {
            let unfinished =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED));
            let abandoned =
                unfinished && modified.elapsed().is_ok_and(|age| age > UNFINISHED_MAX_AGE);
            if abandoned || (total > self.limit && !unfinished) {
                total = total.saturating_sub(size);
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The blob in `file`, if it is complete and undamaged.
fn read(file: File) -> Option<CachedBlob> {
    let whole = FileSlice::whole(file).ok()?;
    let size = whole.len().checked_sub(DIGEST_SIZE)?;
    let expected = whole.part(size, DIGEST_SIZE).read_small(DIGEST_SIZE).ok()??;
    let (bytes, mut hasher) = (whole.part(0, size), Hasher::default());
    let hash = |chunk: &[u8]| hasher.update(chunk);
    write::copy(bytes.clone(), "a compressed layer", &mut io::sink(), hash).ok()?;
    let digest = hasher.finish();
    (hex::encode(expected) == digest.hex()).then_some(CachedBlob { bytes, digest })
}

/// Writes a blob into the cache.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    file: NamedTempFile,
}

impl BlobWriter {
    /// Writes the next bytes of the blob.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Adds the blob, whose digest is `digest`, to `cache` as the compressed layer `diff_id`.
    pub(crate) fn finish(
        mut self,
        cache: &BlobCache,
        diff_id: DiffId,
        digest: Digest,
    ) -> io::Result<()> {
        self.file.write_all(&hex::decode(digest.hex()).map_err(io::Error::other)?)?;
        self.file.persist(cache.path(diff_id)).map(drop).map_err(|error| error.error)
    }
}
