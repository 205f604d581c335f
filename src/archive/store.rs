//! Compressed layers that were made before, by the digest of what is in them, so that no layer is compressed twice.
//!
//! A file a blob: the compressed bytes, and behind them their digest. Files appear whole or not at all, a damaged one is
//! dropped when it is found, and the oldest go when all together grow too large.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::NamedTempFile;

use super::blob::Slice;
use super::compress::Compression;
use super::sink;
use crate::image::digest::Hasher;
use crate::image::{DiffId, Digest};

/// A folder with compressed layers.
#[derive(Clone, Debug)]
pub struct BlobStore {
    folder: PathBuf,
    limit: u64,
}

/// A compressed layer that lies in the store.
#[derive(Clone, Debug)]
pub struct StoredBlob {
    /// Its bytes.
    pub(crate) bytes: Slice,
    /// Their digest.
    pub(crate) digest: Digest,
}

/// How long a digest is, in bytes.
const DIGEST: u64 = 32;

impl BlobStore {
    /// The store in `folder` for layers compressed by `compression`, of `limit` bytes at most. None where nothing is
    /// compressed, or where the folder cannot be had: a build goes on without.
    pub fn open(folder: &Path, compression: Compression, limit: u64) -> Option<Self> {
        let folder = folder.join(compression.recipe()?);
        fs::create_dir_all(&folder).ok()?;
        Some(Self { folder, limit })
    }

    fn place(&self, diff_id: DiffId) -> PathBuf {
        self.folder.join(diff_id.0.hex())
    }

    /// The compressed layer whose uncompressed bytes have the digest `diff_id`. It was read and is sound.
    pub fn get(&self, diff_id: DiffId) -> Option<StoredBlob> {
        let place = self.place(diff_id);
        let file = File::options().read(true).write(true).open(&place).ok()?;
        // So that what is used is not the oldest.
        let _ = file.set_modified(SystemTime::now());
        let blob = read(file);
        if blob.is_none() {
            let _ = fs::remove_file(&place);
        }
        blob
    }

    /// Takes a blob that is about to be made.
    pub(crate) fn begin(&self) -> Option<NewBlob> {
        let file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder).ok()?;
        Some(NewBlob { file })
    }

    /// Makes room: removes the oldest until all together are within the limit, and what killed processes left.
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
        let an_hour = std::time::Duration::from_secs(3600);
        for (modified, size, path) in files {
            let unfinished =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".new-"));
            let left = unfinished && modified.elapsed().is_ok_and(|age| age > an_hour);
            if left || (total > self.limit && !unfinished) {
                total = total.saturating_sub(size);
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The blob in `file`, if that is whole.
fn read(file: File) -> Option<StoredBlob> {
    let whole = Slice::whole(file).ok()?;
    let size = whole.len().checked_sub(DIGEST)?;
    let stated = whole.part(size, DIGEST).read_small(DIGEST).ok()??;
    let (bytes, mut hasher) = (whole.part(0, size), Hasher::default());
    sink::copy(bytes.clone(), "a compressed layer", &mut io::sink(), |some| hasher.update(some))
        .ok()?;
    let digest = hasher.finish();
    (hex::encode(stated) == digest.hex()).then_some(StoredBlob { bytes, digest })
}

/// A blob on its way into the store.
#[derive(Debug)]
pub(crate) struct NewBlob {
    file: NamedTempFile,
}

impl NewBlob {
    /// Takes its next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Keeps it as the compressed layer of `diff_id`; its bytes have the digest `digest`.
    pub(crate) fn keep(
        mut self,
        store: &BlobStore,
        diff_id: DiffId,
        digest: Digest,
    ) -> io::Result<()> {
        self.file.write_all(&hex::decode(digest.hex()).map_err(io::Error::other)?)?;
        self.file.persist(store.place(diff_id)).map(drop).map_err(|error| error.error)
    }
}
