//! Where guests are cached and machines have their folders.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::vm::VmError;

/// The folder for what can be made again.
pub(super) fn cache() -> Result<PathBuf, VmError> {
    private(&crate::cache_dir::path())
}

/// The folder `name` of the cache.
pub(super) fn cached(name: &str) -> Result<PathBuf, VmError> {
    private(&cache()?.join(name))
}

/// Makes a folder that its owner alone may enter.
fn private(path: &Path) -> Result<PathBuf, VmError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(VmError::file("make", path))?;
    Ok(path.to_owned())
}

/// How long another process may take over what this one needs, and how often that is looked at.
const ANOTHER: Duration = Duration::from_secs(20 * 60);
const LOOK: Duration = Duration::from_millis(100);

/// A lock on a file, held until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code)] File);

impl Lock {
    /// Waits for the lock.
    pub(super) fn wait(path: &Path) -> Result<Self, VmError> {
        let file = open(path)?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|e| VmError::file("lock", path)(e.into()))?;
        Ok(Self(file))
    }

    /// Waits for the lock for as long as it takes another process to assemble a guest or to make a template, and a while.
    pub(super) fn made_by_another(path: &Path) -> Result<Self, VmError> {
        let deadline = Instant::now() + ANOTHER;
        loop {
            if let Some(lock) = Self::take(path) {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                let what = format!("another process, which holds {}", path.display());
                return Err(VmError::Busy { what, limit: ANOTHER });
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Takes the lock if nobody holds it.
    pub(super) fn take(path: &Path) -> Option<Self> {
        let file = open(path).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Self(file))
    }
}

/// The folder of one machine: private, locked while the machine lives, gone with it. What a killed process
/// left is removed when the next machine starts.
#[derive(Debug)]
pub(super) struct VmFolder {
    folder: TempDir,
    #[allow(dead_code)]
    lock: Lock,
}

impl VmFolder {
    /// Makes a folder.
    pub(super) fn make() -> Result<Self, VmError> {
        let machines = cached("machines")?;
        // A folder that is not locked yet must not be taken for one that was left.
        let _all = Lock::wait(&machines.join(".lock"))?;
        remove_unlocked(&machines)?;
        let folder = tempfile::Builder::new().prefix("vm-").tempdir_in(&machines);
        let folder = folder.map_err(VmError::file("make a folder in", &machines))?;
        let lock = Lock::wait(&folder.path().join("lock"))?;
        Ok(Self { folder, lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The room that a guest takes with its template, and while it is assembled, in bytes.
pub(super) const ROOM: u64 = 2 << 30;

/// How many bytes are free where `path` lies.
pub(super) fn free(path: &Path) -> Result<u64, VmError> {
    let stat =
        rustix::fs::statvfs(path).map_err(|error| VmError::file("look at", path)(error.into()))?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// Removes the folders of machines whose processes were killed.
pub(super) fn remove_left_machines() -> Result<(), VmError> {
    let machines = cached("machines")?;
    let _all = Lock::wait(&machines.join(".lock"))?;
    remove_unlocked(&machines)
}

fn remove_unlocked(machines: &Path) -> Result<(), VmError> {
    for entry in fs::read_dir(machines).into_iter().flatten().flatten() {
        let left = entry.path();
        if left.is_dir() && Lock::take(&left.join("lock")).is_some() {
            fs::remove_dir_all(&left).map_err(VmError::file("remove", &left))?;
        }
    }
    Ok(())
}

/// Removes the folders in `folder` whose names begin with `prefix`: what a killed process left unfinished. Whoever
/// holds the lock that goes with that name knows that nobody works on them.
pub(super) fn remove_left(folder: &Path, prefix: &str) -> Result<(), VmError> {
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

/// Writes a file, and the folders it is in.
pub(super) fn write(path: &Path, content: &str) -> Result<(), VmError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(VmError::file("write", path))
}
