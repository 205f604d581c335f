//! New files of a cache: they appear complete or not at all, and a killed process leaves none.
//!
//! A new file has no name until it is complete (`O_TMPFILE`). On filesystems without such files it
//! has a name, and a lock for as long as its process lives; see [`sweep`].

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, TryLockError};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::{NamedTempFile, TempPath};

use crate::files::cache_dir;

/// The descriptors of this process as files, through which an unnamed file gets its name.
const DESCRIPTORS: &str = "/proc/self/fd";
/// The names of unfinished files begin with this.
pub(crate) const UNFINISHED: &str = ".new-";
/// The age at which an unfinished file is certainly from a process that was killed, on filesystems
/// without locks.
const UNFINISHED_MAX_AGE: Duration = Duration::from_secs(3600);
/// How often a file is replaced that another process keeps adding.
const ATTEMPTS: usize = 5;

/// A file that is being written into a folder. If it is dropped without
/// [`persist`](Self::persist), nothing is left of it.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    folder: PathBuf,
    named: Option<TempPath>,
}

impl NewFile {
    /// Creates a file in `folder` that only this user can read.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        match unnamed(folder) {
            Some(file) => Ok(Self { file, folder: folder.to_owned(), named: None }),
            None => Self::with_name(folder),
        }
    }

    /// Creates a file that has a name from the start.
    fn with_name(folder: &Path) -> io::Result<Self> {
        let named = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder);
        let (file, named) = named.map(NamedTempFile::into_parts)?;
        // If another process took the file for an abandoned one, naming it fails.
        let _ = file.try_lock();
        Ok(Self { file, folder: folder.to_owned(), named: Some(named) })
    }

    /// Names the complete file `name`, and replaces a file that has this name.
    pub(crate) fn persist(self, name: &str) -> io::Result<()> {
        let target = self.folder.join(name);
        if let Some(named) = self.named {
            return named.persist(target).map_err(|error| error.error);
        }
        let by_descriptor = format!("{DESCRIPTORS}/{}", self.file.as_raw_fd());
        for _ in 0..ATTEMPTS {
            let flags = AtFlags::SYMLINK_FOLLOW;
            match rustix::fs::linkat(CWD, by_descriptor.as_str(), CWD, &target, flags) {
                Err(rustix::io::Errno::EXIST) => fs::remove_file(&target).or_else(|error| {
                    (error.kind() == io::ErrorKind::NotFound).then_some(()).ok_or(error)
                })?,
                linked => return Ok(linked?),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Creates a file without a name, if the filesystem of `folder` has such files.
fn unnamed(folder: &Path) -> Option<File> {
    if !Path::new(DESCRIPTORS).is_dir() {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR).ok().map(File::from)
}

/// Whether `name` is that of an unfinished file.
fn is_unfinished(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes())
}

/// Lists the files of a cache in `folder`, and removes unfinished files of processes that were
/// killed.
pub(crate) fn sweep(folder: &Path) -> Vec<DirEntry> {
    let files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    let (unfinished, finished): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| is_unfinished(&file.file_name()));
    for file in unfinished.iter().map(DirEntry::path).filter(|path| is_abandoned(path)) {
        let _ = fs::remove_file(file);
    }
    finished
}

/// Removes the files in `folder` with the oldest modification times until the rest is within
/// `limit` bytes, and unfinished files of processes that were killed.
pub(crate) fn prune(folder: &Path, limit: u64) {
    let files = sweep(folder).into_iter().filter_map(|file| {
        let metadata = file.metadata().ok()?;
        Some((metadata.modified().ok()?, metadata.len(), file.path()))
    });
    remove_oldest(files.collect(), limit, remove_file);
}

/// Removes entries, the least recently used first, until the sizes of the rest are within `limit`
/// together. Each entry has its last use, its size, and its path. `remove` returns whether it has
/// removed the entry.
pub(crate) fn remove_oldest(
    mut entries: Vec<(SystemTime, u64, PathBuf)>,
    limit: u64,
    mut remove: impl FnMut(&Path) -> bool,
) {
    entries.sort();
    let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in entries {
        if total <= limit {
            return;
        }
        if remove(&path) {
            total = total.saturating_sub(size);
        }
    }
}

/// Removes the file of an entry, which another process may have removed already.
pub(crate) fn remove_file(path: &Path) -> bool {
    let _ = fs::remove_file(path);
    true
}

/// Opens the entry of a cache at `path`, if it is a file of this user, and marks it as used: the
/// entries with the oldest modification times are removed first.
pub(crate) fn open_used(path: &Path) -> Option<File> {
    let file = File::options().read(true).write(true).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || !cache_dir::is_own(&metadata) {
        return None;
    }
    let _ = file.set_modified(SystemTime::now());
    Some(file)
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
            age.is_some_and(|age| age > UNFINISHED_MAX_AGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_appears_when_it_is_complete_and_replaces_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        for create in [NewFile::create, NewFile::with_name] {
            for content in ["first", "second"] {
                let mut file = create(folder.path()).unwrap();
                file.write_all(content.as_bytes()).unwrap();
                file.persist("entry").unwrap();
                assert_eq!(names(folder.path()), ["entry"]);
                assert_eq!(fs::read_to_string(folder.path().join("entry")).unwrap(), content);
            }
            drop(create(folder.path()).unwrap());
            assert_eq!(names(folder.path()), ["entry"]);
        }
    }

    #[test]
    fn unfinished_files_of_killed_processes_are_removed_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        // A killed process leaves the file, but no lock.
        fs::write(folder.path().join(".new-killed"), "part").unwrap();
        fs::write(folder.path().join("entry"), "whole").unwrap();
        let mut alive = NewFile::with_name(folder.path()).unwrap();
        let listed = sweep(folder.path());
        assert_eq!(listed.len(), 1);
        assert_eq!(names(folder.path()).len(), 2);
        alive.write_all(b"whole").unwrap();
        alive.persist("other").unwrap();
        assert_eq!(names(folder.path()), ["entry", "other"]);
    }
}
