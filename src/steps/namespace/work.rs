//! The working folder of a step, and those that killed processes left.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{Access, FlockOperation, access, flock};

use super::holder::UserNamespace;
use crate::files::cache_dir::{self, CacheDirError};
use crate::steps::StepError;
use crate::steps::cache::STEPS;

/// The folder within the cache that contains working folders.
const WORK: &str = "work";
/// The folder that collects changes.
pub(super) const UPPER: &str = "upper";
/// The extension of lock files. They are beside the folders, since a folder is removed from within
/// the namespace.
const LOCK: &str = "lock";

/// The beginning of the names of working folders.
const PREFIX: &str = "step-";

/// Where a working folder is.
#[derive(Debug)]
pub(super) enum Place {
    /// In the cache.
    Cache,
    /// In the folder for temporary files, since the cache cannot be used for this reason.
    Temporary(String),
}

/// A working folder. Its files belong to users of a namespace, which removes it and its lock file
/// at its end.
#[derive(Debug)]
pub(super) struct WorkFolder {
    path: PathBuf,
    place: Place,
    /// Locked as long as the folder is in use.
    _lock: File,
}

impl WorkFolder {
    /// Returns a path for a folder within the cache, which need not be on the file system for
    /// temporary files; in the folder for these if the cache cannot be written. Nothing is created
    /// yet.
    pub(super) fn unused_path() -> (PathBuf, Place) {
        let (parent, name, place) = match parent() {
            Ok(parent) => (parent, PREFIX.to_owned(), Place::Cache),
            Err(error) => {
                let reason = crate::text::errors::chain(&error);
                (std::env::temp_dir(), format!("seatrial-{PREFIX}"), Place::Temporary(reason))
            }
        };
        let random = RandomState::new().hash_one(std::process::id());
        (parent.join(format!("{name}{random:016x}")), place)
    }

    /// Creates the folder `path` and its lock file. The namespace that removes them exists already,
    /// so that they are removed even if this process is killed now.
    pub(super) fn create(path: PathBuf, place: Place) -> Result<Self, StepError> {
        let lock_path = path.with_extension(LOCK);
        let lock = File::options().write(true).create_new(true).open(&lock_path);
        let lock = lock.map_err(StepError::io("create", &lock_path))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| StepError::io("lock", &lock_path)(error.into()))?;
        for folder in [&path, &path.join(UPPER), &path.join("work"), &path.join("merged")] {
            let mode = if folder == &path { 0o700 } else { 0o755 };
            make_folder(folder, mode)?;
        }
        Ok(Self { path, place, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

/// Makes a folder with the permissions `mode`, whatever the umask is.
pub(super) fn make_folder(path: &Path, mode: u32) -> Result<(), StepError> {
    let made = fs::DirBuilder::new().mode(mode).create(path);
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    made.and_then(|()| fs::set_permissions(path, permissions))
        .map_err(StepError::io("create", path))
}

/// The folder within the cache for working folders, if it can be written.
fn parent() -> Result<PathBuf, CacheDirError> {
    let path = cache_dir::folder(&[STEPS, WORK])?;
    match access(&path, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(path),
        Err(error) => Err(CacheDirError { path, source: error.into(), is_unsafe: false }),
    }
}

/// Removes working folders that processes left which were killed together with their namespace.
pub(super) fn remove_abandoned(namespace: &UserNamespace) {
    let Ok(parent) = parent() else { return };
    let Ok(entries) = fs::read_dir(parent) else { return };
    let locks = entries.flatten().map(|entry| entry.path());
    for lock_path in locks.filter(|path| path.extension().is_some_and(|end| end == LOCK)) {
        let Ok(lock) = File::open(&lock_path) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let folder = lock_path.with_extension("");
        if !folder.exists() || remove(namespace, &folder) {
            let _ = fs::remove_file(&lock_path);
        }
    }
}

/// Removes a folder with files of users of the namespace. Returns whether it is gone.
pub(super) fn remove(namespace: &UserNamespace, folder: &Path) -> bool {
    let mut command = namespace.command("rm");
    command.args(["-rf", "--"]).arg(folder).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
