//! Output files that appear complete or not at all, and streams.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

use crate::archive::ArchiveError;
use crate::text;

/// An output file that is being written. If it is dropped without [`persist`](Self::persist), it
/// leaves nothing behind, and on file systems with unnamed files, not even if the process is
/// killed.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    target: PathBuf,
    named: Option<TempPath>,
}

/// The permissions of an output file, before the umask.
const MODE: u32 = 0o666;

impl OutputFile {
    /// Creates a file in the folder of `target`, on the same file system.
    ///
    /// # Errors
    /// If a file cannot be created there.
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
        match rustix::fs::openat(CWD, folder, flags, Mode::from_raw_mode(MODE)) {
            Ok(file) => {
                return Ok(Self { file: file.into(), target: target.to_owned(), named: None });
            }
            // A file with a name would fail for the same reason.
            Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::ROFS)) => {
                return Err(failed(error.into()));
            }
            Err(_) => {}
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

    /// Gives the complete file its name, and replaces a file that has it.
    ///
    /// # Errors
    /// If the file cannot be named; it is then removed.
    pub fn persist(self) -> Result<(), ArchiveError> {
        let Self { file, target, named } = self;
        let failed = |source| failed(&target, source);
        match named {
            Some(named) => named.persist(&target).map_err(|error| failed(error.error)),
            None => link(&file, &target).map_err(failed),
        }
    }
}

/// Names an unnamed file. Linux does not let it replace another, so it gets a free name first and
/// is then renamed.
fn link(file: &File, target: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let by_descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    let named = tempfile::Builder::new().prefix(".seatrial-").make_in(folder(target), |path| {
        rustix::fs::linkat(CWD, by_descriptor.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)
            .map_err(io::Error::from)
    })?;
    named.into_temp_path().persist(target).map_err(|error| error.error)
}

fn folder(target: &Path) -> &Path {
    target
        .parent()
        .filter(|folder| !folder.as_os_str().as_bytes().is_empty())
        .unwrap_or(Path::new("."))
}

fn failed(target: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Write { target: text::path(target), source }
}

/// Whether `target` is a device or a pipe, which are written to instead of being replaced.
pub fn is_stream(target: &Path) -> bool {
    std::fs::metadata(target).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Opens a device or pipe for writing.
///
/// # Errors
/// If it cannot be opened.
pub fn open_stream(target: &Path) -> Result<Box<dyn Write>, ArchiveError> {
    let file = File::options().write(true).open(target).map_err(|source| failed(target, source))?;
    Ok(Box::new(file))
}
