//! New files of a cache: they appear complete or not at all, and a killed process leaves none.
//!
//! A file that is being written may have a temporary name, and has a lock for as long as its
//! process lives; see [`sweep`].

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::cache_dir;
use super::unfinished::{UnfinishedFile, remove_abandoned};

/// The names of unfinished files begin with this.
const UNFINISHED: &str = ".new-";
/// The permissions of files in the cache: they are this user's alone.
const MODE: u32 = 0o600;

/// A file of a cache that is being written. If it is dropped without [`persist`](Self::persist),
/// nothing is left of it.
#[derive(Debug)]
pub(crate) struct NewFile {
    unfinished: UnfinishedFile,
    folder: PathBuf,
}

impl NewFile {
    /// Creates a file in `folder` that only this user can read.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        let unfinished = UnfinishedFile::create(folder, UNFINISHED, MODE)?;
        Ok(Self { unfinished, folder: folder.to_owned() })
    }

    pub(crate) fn file(&self) -> &File {
        self.unfinished.file()
    }

    /// Names the complete file `name`, replaces a file that has this name, and returns the file.
    pub(crate) fn persist(self, name: &str) -> io::Result<File> {
        self.unfinished.persist(&self.folder.join(name))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
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
    unfinished.iter().for_each(|file| remove_abandoned(&file.path()));
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
    fn unfinished_files_of_killed_processes_are_removed_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        // A killed process leaves the file, but no lock.
        fs::write(folder.path().join(".new-killed"), "part").unwrap();
        fs::write(folder.path().join("entry"), "whole").unwrap();
        let alive = UnfinishedFile::with_name(folder.path(), UNFINISHED, MODE).unwrap();
        let mut alive = NewFile { unfinished: alive, folder: folder.path().to_owned() };
        let listed = sweep(folder.path());
        assert_eq!(listed.len(), 1);
        assert_eq!(names(folder.path()).len(), 2);
        alive.write_all(b"whole").unwrap();
        alive.persist("other").unwrap();
        assert_eq!(names(folder.path()), ["entry", "other"]);
    }
}
