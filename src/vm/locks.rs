//! Locks that processes share.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::vm::VmError;

/// How long another process may assemble a guest or make a snapshot.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20 * 60);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A lock on a file, held until it is dropped or the process exits.
#[derive(Debug)]
pub(super) struct Lock(File);

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
        let file = open(path)?;
        loop {
            if try_lock(&file, path)? {
                return Ok(Self(file));
            }
            if Instant::now() >= deadline {
                return Err(VmError::LockTimeout { lock: path.to_owned(), limit: LOCK_TIMEOUT });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Acquires the lock if it is free.
    pub(super) fn try_acquire(path: &Path) -> Result<Option<Self>, VmError> {
        let file = open(path)?;
        Ok(try_lock(&file, path)?.then_some(Self(file)))
    }

    /// Whether another process, or another lock of this process, holds the lock. A file that does
    /// not exist is not created.
    pub(super) fn is_held(path: &Path) -> Result<bool, VmError> {
        match File::options().write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(VmError::file("open", path)(error)),
            Ok(file) => Ok(!try_lock(&file, path)?),
        }
    }

    /// Returns the file.
    pub(super) fn file(&self) -> &File {
        &self.0
    }
}

fn try_lock(file: &File, path: &Path) -> Result<bool, VmError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(VmError::file("lock", path)(error.into())),
    }
}

fn open(path: &Path) -> Result<File, VmError> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(0o600);
    options.open(path).map_err(VmError::file("open", path))
}
