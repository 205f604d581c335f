//! Where an image goes: a file that appears whole or not at all, or a stream.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::{NamedTempFile, TempPath};

use crate::archive::ArchiveError;

/// An output file in the making. Dropped without [`persist`](Self::persist), it leaves nothing behind; on
/// file systems that can make files without a name, not even when the process is killed.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    target: PathBuf,
    named: Option<TempPath>,
}

/// Permissions of an output file, before the umask.
const MODE: u32 = 0o666;

impl OutputFile {
    /// A file beside `target`, on the same file system.
    ///
    /// # Errors
    /// When no file can be made there.
    pub fn beside(target: &Path) -> Result<Self, ArchiveError> {
        let failed = |source| failed(target, source);
        if target.is_dir() {
            return Err(failed(io::Error::new(
                io::ErrorKind::IsADirectory,
                "it is a directory; name a file",
            )));
        }
        let folder = folder(target);
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::openat(CWD, folder, flags, Mode::from_raw_mode(MODE)) {
            return Ok(Self { file: file.into(), target: target.to_owned(), named: None });
        }
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(MODE);
        let named = tempfile::Builder::new()
            .prefix(".seatrial-")
            .permissions(permissions)
            .tempfile_in(folder);
        let (file, named) = named.map(NamedTempFile::into_parts).map_err(failed)?;
        Ok(Self { file, target: target.to_owned(), named: Some(named) })
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the finished file its name, in the place of one that has it already.
    ///
    /// # Errors
    /// When the file cannot be named; it is then gone.
    pub fn persist(self) -> Result<(), ArchiveError> {
        let Self { file, target, named } = self;
        let failed = |source| failed(&target, source);
        match named {
            Some(named) => named.persist(&target).map_err(|error| failed(error.error)),
            None => link(&file, &target).map_err(failed),
        }
    }
}

/// A file without a name can be given one that is free only; so one beside it is taken and renamed.
fn link(file: &File, target: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let by_number = format!("/proc/self/fd/{}", file.as_raw_fd());
    let free = tempfile::Builder::new().prefix(".seatrial-").make_in(folder(target), |path| {
        rustix::fs::linkat(CWD, by_number.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)
            .map_err(io::Error::from)
    })?;
    free.into_temp_path().persist(target).map_err(|error| error.error)
}

fn folder(target: &Path) -> &Path {
    target
        .parent()
        .filter(|folder| !folder.as_os_str().as_bytes().is_empty())
        .unwrap_or(Path::new("."))
}

fn failed(target: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Write { target: target.display().to_string(), source }
}

/// Whether `target` is something that is written into rather than replaced: a device or a pipe.
pub fn is_stream(target: &Path) -> bool {
    std::fs::metadata(target).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Opens a device or pipe for writing.
///
/// # Errors
/// When it cannot be opened.
pub fn open_stream(target: &Path) -> Result<Box<dyn Write>, ArchiveError> {
    let file = File::options().write(true).open(target).map_err(|source| failed(target, source))?;
    Ok(Box::new(file))
}
