//! Byte ranges of files: a whole file, or a member of a tar.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use super::tar::Skip;
use crate::image::{DiffId, Digest};

/// A byte range of a file. Reading does not move the file's own position, so clones read
/// independently.
#[derive(Clone, Debug)]
pub struct FileSlice {
    file: Arc<OpenFile>,
    position: u64,
    end: u64,
}

/// A file, and its size and times when it was opened.
#[derive(Debug)]
struct OpenFile {
    file: File,
    stamp: (u64, i64, i64, i64, i64),
}

/// Size, modification time and change time.
fn stamp(file: &File) -> io::Result<(u64, i64, i64, i64, i64)> {
    let metadata = file.metadata()?;
    Ok((
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ))
}

impl FileSlice {
    /// The whole of `file`.
    ///
    /// # Errors
    /// If its metadata cannot be read.
    pub fn whole(file: File) -> io::Result<Self> {
        let stamp = stamp(&file)?;
        Ok(Self { file: Arc::new(OpenFile { file, stamp }), position: 0, end: stamp.0 })
    }

    /// Whether the file's size and times are the same as when it was opened.
    ///
    /// # Errors
    /// If its metadata cannot be read.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        Ok(stamp(&self.file.file)? == self.file.stamp)
    }

    /// Whether `other` is the same range of the same opened file.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file)
            && (self.position, self.end) == (other.position, other.end)
    }

    /// The number of bytes left to read.
    pub fn len(&self) -> u64 {
        self.end - self.position
    }

    /// Whether nothing is left to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `size` bytes from `offset` on, relative to the current position.
    #[must_use]
    pub fn part(&self, offset: u64, size: u64) -> Self {
        let start = self.position.saturating_add(offset).min(self.end);
        Self {
            file: Arc::clone(&self.file),
            position: start,
            end: start.saturating_add(size).min(self.end),
        }
    }

    /// Reads everything; `None` if that is more than `limit` bytes.
    ///
    /// # Errors
    /// If reading fails or the file has become shorter.
    pub fn read_small(mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if self.len() > limit {
            return Ok(None);
        }
        let mut bytes = vec![0; self.len() as usize];
        self.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }
}

impl Read for FileSlice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.len()).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.file.read_at(&mut buffer[..most], self.position)?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Skip for FileSlice {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        if count > self.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count;
        Ok(())
    }
}

/// A layer of an image as it is stored.
#[derive(Clone, Debug)]
pub struct LayerBlob {
    /// The bytes as stored.
    pub bytes: FileSlice,
    /// The digest of the bytes as stored, if the image has it.
    pub digest: Option<Digest>,
    /// The digest of the uncompressed tar according to the config.
    pub diff_id: DiffId,
    /// The name of its file in the image, for messages.
    pub name: String,
}
