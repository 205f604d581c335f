//! Byte ranges of files: a whole file, or a member of a tar. A file may be fetched when its first
//! byte is read.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, OnceLock};

use super::tar::Skip;
use crate::image::{DiffId, Digest};

/// A byte range of a file. Reading does not move the file's own position, so clones read
/// independently.
#[derive(Clone, Debug)]
pub struct FileSlice {
    file: Arc<Source>,
    position: u64,
    end: u64,
}

/// The file of a slice.
enum Source {
    Open(OpenFile),
    Deferred { fetch: Box<Fetch>, fetched: OnceLock<FileSlice> },
}

/// The reason why a file that is fetched when it is read could not be fetched.
#[derive(Debug)]
pub(crate) struct FetchError {
    /// Whether the environment failed rather than the input.
    pub(crate) is_environment: bool,
    pub(crate) source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

impl FetchError {
    /// The reason of `error`, if it is one of fetching.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Fetches a file.
type Fetch = dyn Fn() -> io::Result<FileSlice> + Send + Sync;

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(file) => file.fmt(f),
            Self::Deferred { fetched, .. } => fetched.fmt(f),
        }
    }
}

/// A file, and its size and times when it was opened, if these show whether its bytes change.
#[derive(Debug)]
struct OpenFile {
    file: File,
    stamp: Option<Stamp>,
}

/// Size, modification time and change time.
type Stamp = (u64, i64, i64, i64, i64);

fn stamp(file: &File) -> io::Result<Stamp> {
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
        let file = Arc::new(Source::Open(OpenFile { file, stamp: Some(stamp) }));
        Ok(Self { file, position: 0, end: stamp.0 })
    }

    /// The whole of a file of a cache. Its bytes never change, but its times do: other processes
    /// mark it as used, or put an equal file in its place.
    ///
    /// # Errors
    /// If its metadata cannot be read.
    pub(crate) fn cached(file: File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        let file = Arc::new(Source::Open(OpenFile { file, stamp: None }));
        Ok(Self { file, position: 0, end })
    }

    /// A temporary file that contains `bytes`.
    #[cfg(feature = "registry")]
    pub(crate) fn of_bytes(bytes: &[u8]) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        io::Write::write_all(&mut file, bytes)?;
        Self::whole(file)
    }

    /// A file of `size` bytes that `fetch` returns when the first byte is read.
    pub(crate) fn deferred(
        size: u64,
        fetch: impl Fn() -> io::Result<Self> + Send + Sync + 'static,
    ) -> Self {
        let file = Source::Deferred { fetch: Box::new(fetch), fetched: OnceLock::new() };
        Self { file: Arc::new(file), position: 0, end: size }
    }

    /// Sets the file that would be fetched, unless it was fetched already.
    #[cfg(feature = "registry")]
    pub(crate) fn set_fetched(&self, slice: Self) {
        if let Source::Deferred { fetched, .. } = &*self.file {
            // The file that was fetched first stays.
            let _ = fetched.set(slice);
        }
    }

    /// Fetches the file, if it was not fetched yet.
    #[cfg(feature = "registry")]
    pub(crate) fn fetch(&self) -> io::Result<()> {
        self.open_file().map(drop)
    }

    /// The open file, and the position of this slice's file in it.
    fn open_file(&self) -> io::Result<(&OpenFile, u64)> {
        match &*self.file {
            Source::Open(file) => Ok((file, 0)),
            Source::Deferred { fetch, fetched } => {
                let slice = match fetched.get() {
                    Some(slice) => slice,
                    None => {
                        let slice = fetch()?;
                        fetched.get_or_init(|| slice)
                    }
                };
                let (file, offset) = slice.open_file()?;
                Ok((file, offset + slice.position))
            }
        }
    }

    /// Whether the file's size and times are the same as when it was opened; always true for a
    /// file of a cache.
    ///
    /// # Errors
    /// If its metadata cannot be read.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        let (file, _) = self.open_file()?;
        match file.stamp {
            Some(opened) => Ok(stamp(&file.file)? == opened),
            None => Ok(true),
        }
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
        let (file, offset) = self.open_file()?;
        let count = file.file.read_at(&mut buffer[..most], offset + self.position)?;
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
    /// The media type according to the image's manifest, if the format has one.
    pub media_type: Option<String>,
}
