//! Files that appear complete or not at all.
//!
//! Until it is complete, such a file has no name (`O_TMPFILE`), so that a killed process leaves
//! nothing of it. On file systems without unnamed files, it has a temporary name from the start,
//! and for a moment on others, too. It is locked for as long as its process lives: see
//! [`remove_abandoned`].

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

/// The descriptors of this process as files, through which an unnamed file gets its name.
const DESCRIPTORS: &str = "/proc/self/fd";

/// The age at which an unfinished file is certainly from a process that was killed, on filesystems
/// without locks.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// A file that is being written into a folder. If it is dropped without
/// [`persist`](Self::persist), nothing is left of it.
#[derive(Debug)]
pub(super) struct UnfinishedFile {
    file: File,
    folder: PathBuf,
    prefix: &'static str,
    named: Option<TempPath>,
}

impl UnfinishedFile {
    /// Creates a file in `folder` with the permissions `mode`, less those of the umask. Temporary
    /// names begin with `prefix`.
    pub(super) fn create(folder: &Path, prefix: &'static str, mode: u32) -> io::Result<Self> {
        match unnamed(folder, mode)? {
            Some(file) => Ok(Self::locked(file, folder, prefix, None)),
            None => Self::with_name(folder, prefix, mode),
        }
    }

    /// Creates a file that has a temporary name from the start.
    pub(super) fn with_name(folder: &Path, prefix: &'static str, mode: u32) -> io::Result<Self> {
        let permissions = PermissionsExt::from_mode(mode);
        let named =
            tempfile::Builder::new().prefix(prefix).permissions(permissions).tempfile_in(folder)?;
        let (file, named) = NamedTempFile::into_parts(named);
        Ok(Self::locked(file, folder, prefix, Some(named)))
    }

    fn locked(file: File, folder: &Path, prefix: &'static str, named: Option<TempPath>) -> Self {
        // If another process took the file for an abandoned one, naming it fails.
        let _ = file.try_lock();
        Self { file, folder: folder.to_owned(), prefix, named }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn temporary_path(&self) -> Option<&Path> {
        self.named.as_deref()
    }

    /// Gives the complete file the path `target` in its folder, replaces a file that has it, and
    /// returns the file.
    ///
    /// Linux does not let an unnamed file replace another, so it gets a free name first and is then
    /// renamed.
    pub(super) fn persist(self, target: &Path) -> io::Result<File> {
        let Self { file, folder, prefix, named } = self;
        let by_descriptor = format!("{DESCRIPTORS}/{}", file.as_raw_fd());
        let link = |path: &Path| {
            let flags = AtFlags::SYMLINK_FOLLOW;
            rustix::fs::linkat(CWD, by_descriptor.as_str(), CWD, path, flags)
                .map_err(io::Error::from)
        };
        let named = match named {
            Some(named) => named,
            None => tempfile::Builder::new().prefix(prefix).make_in(folder, link)?.into_temp_path(),
        };
        named.persist(target).map_err(|error| error.error)?;
        Ok(file)
    }
}

/// Creates a file without a name; `None` if the file system of `folder` has no such files.
fn unnamed(folder: &Path, mode: u32) -> io::Result<Option<File>> {
    if !Path::new(DESCRIPTORS).is_dir() {
        return Ok(None);
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, folder, flags, Mode::from_raw_mode(mode)) {
        Ok(file) => Ok(Some(file.into())),
        // A file with a name would fail for the same reason.
        Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::ROFS)) => {
            Err(error.into())
        }
        Err(_) => Ok(None),
    }
}

/// Removes the file at `path`, which has a temporary name, if no process is writing it.
pub(super) fn remove_abandoned(path: &Path) {
    if is_abandoned(path) {
        // Another process may have removed it already.
        let _ = fs::remove_file(path);
    }
}

/// Whether no process is writing the unfinished file at `path`.
fn is_abandoned(path: &Path) -> bool {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let opened = std::os::unix::fs::OpenOptionsExt::custom_flags(
        File::options().read(true).write(true),
        flags,
    )
    .open(path);
    let Ok(file) = opened else { return false };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| modified.elapsed().ok());
            age.is_some_and(|age| age > MAX_AGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_appears_when_it_is_complete_and_replaces_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let names = || {
            let files = fs::read_dir(folder.path()).unwrap();
            files.map(|file| file.unwrap().file_name()).collect::<Vec<_>>()
        };
        let target = folder.path().join("entry");
        for create in [UnfinishedFile::create, UnfinishedFile::with_name] {
            for content in ["first", "second"] {
                let file = create(folder.path(), ".new-", 0o640).unwrap();
                file.file().write_all(content.as_bytes()).unwrap();
                file.persist(&target).unwrap();
                assert_eq!(names(), ["entry"]);
                assert_eq!(fs::read_to_string(&target).unwrap(), content);
                assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o640);
            }
            drop(create(folder.path(), ".new-", 0o640).unwrap());
            assert_eq!(names(), ["entry"]);
        }
    }
}
