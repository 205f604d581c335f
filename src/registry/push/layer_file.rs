//! The file of a layer while it is compressed: in the cache, or a temporary one.

use std::fs::File;
use std::io::{self, Write};

use crate::archive::blob::FileSlice;
use crate::archive::blob_cache::{BlobCache, BlobWriter};
use crate::image::digest::Hasher;
use crate::image::{DiffId, Digest};

/// A layer that is being written to a file.
pub(super) struct OpenBlob {
    file: NewFile,
    hasher: Hasher,
}

/// The file of a new layer.
enum NewFile {
    Cached(BlobWriter),
    Temporary(File),
}

impl OpenBlob {
    pub(super) fn begin(cache: Option<&BlobCache>) -> io::Result<Self> {
        let file = match cache.and_then(BlobCache::begin) {
            Some(writer) => NewFile::Cached(writer),
            None => NewFile::Temporary(tempfile::tempfile()?),
        };
        Ok(Self { file, hasher: Hasher::default() })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        match &mut self.file {
            NewFile::Cached(writer) => writer.write_all(bytes),
            NewFile::Temporary(file) => file.write_all(bytes),
        }
    }

    /// The finished layer, which the cache keeps as the layer `diff_id`.
    pub(super) fn finish(
        mut self,
        cache: Option<&BlobCache>,
        diff_id: DiffId,
    ) -> io::Result<(Digest, FileSlice)> {
        let digest = self.hasher.finish();
        let bytes = match (self.file, cache) {
            (NewFile::Cached(writer), Some(cache)) => {
                writer.finish(diff_id, digest)?;
                cache.get(diff_id).ok_or(io::ErrorKind::NotFound)?.unchecked()
            }
            (NewFile::Cached(_), None) => return Err(io::ErrorKind::Unsupported.into()),
            (NewFile::Temporary(file), _) => FileSlice::whole(file)?,
        };
        Ok((digest, bytes))
    }
}
