//! Folders of the cache and of VMs, and the locks that processes share.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::vm::VmError;

/// Assembled guests.
pub(super) const GUESTS: &str = "guests";
/// Snapshots.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// A folder for each VM that runs.
pub(super) const VMS: &str = "vms";

/// Returns the cache folder, and creates it if it is missing.
pub(super) fn cache_root() -> Result<PathBuf, VmError> {
    cache_folder_of(&[])
}

/// Returns the folder `name` in the cache, and creates it if it is missing.
pub(super) fn cache_folder(name: &str) -> Result<PathBuf, VmError> {
    cache_folder_of(&[name])
}

fn cache_folder_of(parts: &[&str]) -> Result<PathBuf, VmError> {
    crate::cache_dir::folder(parts).map_err(|error| VmError::file("use", error.path)(error.source))
}

/// How long another process may assemble a guest or make a snapshot.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20 * 60);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A lock on a file, held until it is dropped or the process exits.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code)] File);

impl Lock {
    /// Waits for the lock, without a timeout.
    pub(super) fn acquire(path: &Path) -> Result<Self, VmError> {
        let file = open(path)?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|e| VmError::file("lock", path)(e.into()))?;
        Ok(Self(file))
    }

    /// Waits for the lock, as long as another process needs to assemble a guest or to make a
    /// snapshot.
    pub(super) fn acquire_with_timeout(path: &Path) -> Result<Self, VmError> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            if let Some(lock) = Self::try_acquire(path) {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(VmError::LockTimeout { lock: path.to_owned(), limit: LOCK_TIMEOUT });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Acquires the lock if it is free.
    pub(super) fn try_acquire(path: &Path) -> Option<Self> {
        let file = open(path).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Self(file))
    }
}

/// The private folder of a VM. It is locked while its process runs and removed when it is dropped.
/// If a process was killed, the next VM that starts removes its folders.
#[derive(Debug)]
pub(super) struct VmFolder {
    folder: TempDir,
    #[allow(dead_code)]
    lock: Lock,
}

impl VmFolder {
    /// Creates a folder, and removes those that killed processes have left.
    pub(super) fn create() -> Result<Self, VmError> {
        let vms = cache_folder(VMS)?;
        // Otherwise, another process could remove the new folder before it is locked.
        let _all = Lock::acquire(&vms.join(".lock"))?;
        remove_unlocked(&vms)?;
        let folder = tempfile::Builder::new().prefix("vm-").tempdir_in(&vms);
        let folder = folder.map_err(VmError::file("create a folder in", &vms))?;
        let lock = Lock::acquire(&folder.path().join("lock"))?;
        Ok(Self { folder, lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The space in bytes that a guest and its snapshot need, and the assembly of the guest.
pub(super) const NEEDED_SPACE: u64 = 2 << 30;

/// Returns the free space, in bytes, on the disk that `path` is on.
pub(super) fn free_space(path: &Path) -> Result<u64, VmError> {
    let stat = rustix::fs::statvfs(path)
        .map_err(|error| VmError::file("read the free space of", path)(error.into()))?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// Removes the folders of VMs whose processes were killed.
pub(super) fn remove_abandoned_vms() -> Result<(), VmError> {
    let vms = cache_folder(VMS)?;
    let _all = Lock::acquire(&vms.join(".lock"))?;
    remove_unlocked(&vms)
}

fn remove_unlocked(vms: &Path) -> Result<(), VmError> {
    for entry in fs::read_dir(vms).into_iter().flatten().flatten() {
        let folder = entry.path();
        if folder.is_dir() && Lock::try_acquire(&folder.join("lock")).is_some() {
            fs::remove_dir_all(&folder).map_err(VmError::file("remove", &folder))?;
        }
    }
    Ok(())
}

/// Removes the folders in `folder` whose names begin with `prefix`: unfinished work of killed
/// processes. The caller holds the lock of that name, so no process works on them.
pub(super) fn remove_unfinished(folder: &Path, prefix: &str) -> Result<(), VmError> {
    for entry in fs::read_dir(folder).map_err(VmError::file("read", folder))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_dir_all(entry.path()).map_err(VmError::file("remove", entry.path()))?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, VmError> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    file.map_err(VmError::file("open", path))
}

/// Writes a file, and creates the folders on its path.
pub(super) fn write(path: &Path, content: &str) -> Result<(), VmError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(VmError::file("write", path))
}
