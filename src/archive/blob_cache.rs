//! A cache of compressed layers by diff ID, so that no layer is compressed twice.
//!
//! Each file is a blob followed by its digest. Files are created atomically, and checked against
//! their digest while they are copied. Damaged ones are removed, and the least recently used ones
//! when the cache exceeds its limit.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::thread;

use crossbeam_channel::bounded;

use super::blob::FileSlice;
use crate::files::cache_file::{self, NewFile};
use crate::image::digest::Hasher;
use crate::image::{DiffId, Digest};

/// A folder of compressed layers.
#[derive(Clone, Debug)]
pub struct BlobCache {
    folder: PathBuf,
    limit: u64,
}

/// A compressed layer from the cache. Its bytes are checked when they are copied.
#[derive(Clone, Debug)]
pub struct CachedBlob {
    path: PathBuf,
    bytes: FileSlice,
    /// The digest of the compressed bytes.
    pub(crate) digest: Digest,
}

/// A compressed layer in the cache does not match its digest. It has been removed; what was copied
/// of it must not be used.
#[derive(Debug, thiserror::Error)]
#[error("a compressed layer in the cache is damaged")]
pub(crate) struct DamagedBlob;

/// The size of a digest in bytes.
const DIGEST_SIZE: u64 = 32;
/// The number of bytes that are copied and hashed at a time.
const CHUNK_SIZE: usize = 1 << 20;
/// The number of chunks that the copying may be ahead of the hashing.
const CHUNKS_AHEAD: usize = 3;

impl BlobCache {
    /// The cache in `folder`, which must exist and is for one kind of compression, of at most
    /// `limit` bytes.
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit }
    }

    /// Returns the compressed layer with the diff ID `diff_id`.
    pub fn get(&self, diff_id: DiffId) -> Option<CachedBlob> {
        let path = self.folder.join(diff_id.0.hex());
        let whole = FileSlice::cached(cache_file::open_used(&path)?).ok()?;
        let Some(size) = whole.len().checked_sub(DIGEST_SIZE) else {
            let _ = fs::remove_file(path);
            return None;
        };
        let digest = whole.part(size, DIGEST_SIZE).read_small(DIGEST_SIZE).ok()??;
        let digest = Digest::from_hex(&hex::encode(digest)).ok()?;
        Some(CachedBlob { path, bytes: whole.part(0, size), digest })
    }

    /// Begins a new blob.
    pub(crate) fn begin(&self) -> Option<BlobWriter> {
        NewFile::create(&self.folder).ok().map(|file| BlobWriter { file })
    }

    /// Removes the oldest blobs until the rest is within the limit, and files that killed processes
    /// left unfinished.
    pub fn prune(&self) {
        cache_file::prune(&self.folder, self.limit);
    }
}

impl CachedBlob {
    /// The number of compressed bytes.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len()
    }

    /// The compressed bytes, which have not been checked.
    #[cfg(feature = "registry")]
    pub(crate) fn unchecked(&self) -> FileSlice {
        self.bytes.clone()
    }

    /// Copies the compressed bytes to `output`, and checks their digest. Another thread hashes
    /// them at the same time.
    ///
    /// # Errors
    /// If they cannot be written, or with [`DamagedBlob`] if they are damaged.
    pub(crate) fn copy_to(&self, output: &mut impl Write) -> io::Result<()> {
        let (chunks, to_hash) = bounded::<Vec<u8>>(CHUNKS_AHEAD);
        let (returned, free) = bounded::<Vec<u8>>(CHUNKS_AHEAD + 2);
        let found = thread::scope(|scope| {
            let hashing = scope.spawn(move || {
                let mut hasher = Hasher::default();
                for chunk in to_hash {
                    hasher.update(&chunk);
                    let _ = returned.try_send(chunk);
                }
                hasher.finish()
            });
            let mut bytes = self.bytes.clone();
            while !bytes.is_empty() {
                let mut chunk = free.try_recv().unwrap_or_default();
                chunk.resize(bytes.len().min(CHUNK_SIZE as u64) as usize, 0);
                bytes.read_exact(&mut chunk).map_err(|_| self.damaged())?;
                output.write_all(&chunk)?;
                if chunks.send(chunk).is_err() {
                    break;
                }
            }
            drop(chunks);
            hashing.join().map_err(|_| io::Error::other("a thread stopped unexpectedly"))
        })?;
        if found == self.digest { Ok(()) } else { Err(self.damaged()) }
    }

    /// The compressed bytes after checking their digest; `None` if they are damaged.
    pub(crate) fn verified(self) -> Option<FileSlice> {
        self.copy_to(&mut io::sink()).ok().map(|()| self.bytes)
    }

    /// Removes the blob from the cache.
    fn damaged(&self) -> io::Error {
        let _ = fs::remove_file(&self.path);
        io::Error::other(DamagedBlob)
    }
}

/// Writes a blob into the cache.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    file: NewFile,
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl BlobWriter {
    /// Adds the blob, whose digest is `digest`, to the cache as the compressed layer `diff_id`.
    pub(crate) fn finish(mut self, diff_id: DiffId, digest: Digest) -> io::Result<()> {
        self.file.write_all(&hex::decode(digest.hex()).map_err(io::Error::other)?)?;
        self.file.persist(&diff_id.0.hex()).map(drop)
    }
}
