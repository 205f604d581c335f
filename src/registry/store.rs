//! The cache of blobs from registries, by digest. Blobs are verified before they get in.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::RegistryError;
use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::files::cache_dir;
use crate::files::cache_file::{self, NewFile};
use crate::image::Digest;

/// The size limit of a manifest, index or config in bytes, as in Podman and skopeo.
pub(super) const DOCUMENT_MAX: usize = 4 << 20;
/// The folder of blobs from registries in the cache.
const FOLDER: &str = "registry-blobs";

/// A folder of blobs, or none: then blobs are temporary files.
#[derive(Debug)]
pub(super) struct BlobStore {
    folder: Option<PathBuf>,
    has_grown: AtomicBool,
}

/// A blob that is being written.
#[derive(Debug)]
pub(super) enum NewBlob {
    Cached(NewFile),
    Temporary(File),
}

impl BlobStore {
    /// Opens the cache, unless `cached` is false.
    pub(super) fn open(cached: bool) -> Result<Self, RegistryError> {
        let folder = if cached { Some(cache_dir::folder(&[FOLDER])?) } else { None };
        Ok(Self { folder, has_grown: AtomicBool::new(false) })
    }

    fn path(&self, digest: Digest) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(digest.hex()))
    }

    /// The blob with `digest` and `size`, if it is cached.
    fn get(&self, digest: Digest, size: u64) -> Option<FileSlice> {
        let blob = FileSlice::cached(cache_file::open_used(&self.path(digest)?)?).ok()?;
        // Else it is damaged, or the wanted size is wrong: it is fetched again.
        (blob.len() == size).then_some(blob)
    }

    /// The blob with `digest` and `size`, if it is cached and its bytes match the digest. A damaged
    /// one is removed from the cache.
    pub(super) fn verified(&self, digest: Digest, size: u64) -> Option<FileSlice> {
        let bytes = self.get(digest, size)?;
        if Digest::of_reader(bytes.clone()).is_ok_and(|found| found == digest) {
            return Some(bytes);
        }
        self.path(digest).iter().for_each(|path| drop(fs::remove_file(path)));
        None
    }

    /// A small document with `digest`, if it is cached and undamaged.
    pub(super) fn document(&self, digest: Digest) -> Option<Vec<u8>> {
        let file = cache_file::open_used(&self.path(digest)?)?;
        let mut bytes = Vec::new();
        // The digest may be that of a large layer.
        file.take(DOCUMENT_MAX as u64 + 1).read_to_end(&mut bytes).ok()?;
        (Digest::of(&bytes) == digest).then_some(bytes)
    }

    /// Begins a blob.
    pub(super) fn begin(&self) -> Result<NewBlob, RegistryError> {
        match &self.folder {
            Some(folder) => NewFile::create(folder)
                .map(NewBlob::Cached)
                .map_err(|source| RegistryError::Cache { what: "a blob".to_owned(), source }),
            None => {
                Ok(NewBlob::Temporary(tempfile::tempfile().map_err(ArchiveError::temporary_file)?))
            }
        }
    }

    /// Adds a document, whose digest is correct. If this fails, it is fetched again another time.
    pub(super) fn insert(&self, digest: Digest, bytes: &[u8]) {
        if let Ok(NewBlob::Cached(mut file)) = self.begin()
            && file.write_all(bytes).is_ok()
        {
            let _ = file.persist(&digest.hex());
            self.has_grown.store(true, Ordering::Relaxed);
        }
    }

    /// Adds the finished `blob`, whose digest is correct, and returns it.
    pub(super) fn finish(&self, blob: NewBlob, digest: Digest) -> Result<FileSlice, RegistryError> {
        let failed = |source| RegistryError::Cache { what: format!("the blob {digest}"), source };
        match blob {
            NewBlob::Cached(file) => {
                let file = file.persist(&digest.hex()).map_err(failed)?;
                self.has_grown.store(true, Ordering::Relaxed);
                FileSlice::cached(file).map_err(failed)
            }
            NewBlob::Temporary(file) => FileSlice::whole(file).map_err(failed),
        }
    }

    /// Whether a blob was added after the last call of [`prune`](Self::prune).
    pub(super) fn has_grown(&self) -> bool {
        self.has_grown.load(Ordering::Relaxed)
    }

    /// Removes the least recently used blobs if there are too many.
    pub(super) fn prune(&self) {
        if let Some(folder) = &self.folder {
            self.has_grown.store(false, Ordering::Relaxed);
            cache_file::prune(folder, cache_dir::blobs_limit());
        }
    }
}

impl NewBlob {
    pub(super) fn file(&self) -> &File {
        match self {
            Self::Cached(file) => file.file(),
            Self::Temporary(file) => file,
        }
    }

    /// Writes the next bytes of the blob `digest`.
    pub(super) fn write(&mut self, bytes: &[u8], digest: Digest) -> Result<(), RegistryError> {
        self.file().write_all(bytes).map_err(|source| match self {
            Self::Cached(_) => RegistryError::Cache { what: format!("the blob {digest}"), source },
            Self::Temporary(_) => ArchiveError::temporary_file(source).into(),
        })
    }
}
