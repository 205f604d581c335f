//! Bytes that lie in a file: a whole one, or a member of a tar.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use super::tar::Skip;
use crate::image::{DiffId, Digest};

/// A stretch of a file, read without moving the file's own position; clones read independently.
#[derive(Clone, Debug)]
pub struct Slice {
    file: Arc<Stamped>,
    position: u64,
    end: u64,
}

/// A file and what it looked like when it was opened.
#[derive(Debug)]
struct Stamped {
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

impl Slice {
    /// The whole of `file`.
    ///
    /// # Errors
    /// When its metadata cannot be asked for.
    pub fn whole(file: File) -> io::Result<Self> {
        let stamp = stamp(&file)?;
        Ok(Self { file: Arc::new(Stamped { file, stamp }), position: 0, end: stamp.0 })
    }

    /// Whether the file looks as it did when it was opened.
    ///
    /// # Errors
    /// When its metadata cannot be asked for.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        Ok(stamp(&self.file.file)? == self.file.stamp)
    }

    /// How many bytes are left to read.
    pub fn len(&self) -> u64 {
        self.end - self.position
    }

    /// Whether nothing is left to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `size` bytes from `offset` on, counted from where this slice stands.
    #[must_use]
    pub fn part(&self, offset: u64, size: u64) -> Self {
        let start = self.position.saturating_add(offset).min(self.end);
        Self {
            file: Arc::clone(&self.file),
            position: start,
            end: start.saturating_add(size).min(self.end),
        }
    }

    /// Everything, where it is at most `limit` bytes; `None` where it is more.
    ///
    /// # Errors
    /// When reading fails or the file is shorter than it was.
    pub fn read_small(mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if self.len() > limit {
            return Ok(None);
        }
        let mut bytes = vec![0; self.len() as usize];
        self.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }
}

impl Read for Slice {
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

impl Skip for Slice {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        if count > self.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count;
        Ok(())
    }
}

/// A layer as an image holds it.
#[derive(Clone, Debug)]
pub struct LayerBlob {
    /// Its bytes as stored.
    pub bytes: Slice,
    /// The digest of its bytes as stored, where the image names it.
    pub digest: Option<Digest>,
    /// The digest of its uncompressed tar, as the config names it.
    pub diff_id: DiffId,
    /// Where it lies in the image, for messages.
    pub place: String,
}
