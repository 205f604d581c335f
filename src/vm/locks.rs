//! Locks that processes share.
//!
//! A process that holds a lock may remove its file. Another one that has opened the file meanwhile
//! notices that, and opens the new one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

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
        loop {
            let file = open(path)?;
            flock(&file, FlockOperation::LockExclusive)
                .map_err(|e| VmError::file("lock", path)(e.into()))?;
            if is_at(&file, path) {
                return Ok(Self(file));
            }
        }
    }

    /// Waits for the lock, as long as another process needs to assemble a guest or to make a
    /// snapshot.
    pub(super) fn acquire_with_timeout(path: &Path) -> Result<Self, VmError> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            if let Some(lock) = Self::try_acquire(path)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(VmError::LockTimeout { lock: path.to_owned(), limit: LOCK_TIMEOUT });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Acquires the lock if it is free.
    pub(super) fn try_acquire(path: &Path) -> Result<Option<Self>, VmError> {
        loop {
            let file = open(path)?;
            if !try_lock(&file, path)? {
                return Ok(None);
            }
            if is_at(&file, path) {
                return Ok(Some(Self(file)));
            }
        }
    }

    /// Whether another process, or another lock of this process, holds the lock. A file that does
    /// not exist is not created.
    pub(super) fn is_held(path: &Path) -> Result<bool, VmError> {
        match options().open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            // A pipe, which is not from us.
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(false),
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
    options().create(true).truncate(false).open(path).map_err(VmError::file("open", path))
}

/// Options that do not wait for the reader of a pipe.
fn options() -> OpenOptions {
    let mut options = File::options();
    options.write(true).mode(0o600).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options
}

/// Whether `file` is still the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(opened), Ok(found)) => (opened.dev(), opened.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_whose_file_was_removed_is_acquired_with_a_new_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("x.lock");
        let first = Lock::acquire(&path).unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Lock::acquire(&path).unwrap()
        });
        // Until the other thread waits for the file that is removed next (proc_locks(5)).
        let waits = format!(":{} ", first.file().metadata().unwrap().ino());
        let is_waiting = || {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            locks.lines().any(|line| line.contains(" -> ") && line.contains(&waits))
        };
        // On some file systems, the kernel shows another number there; the rest holds all the same.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_waiting() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        fs::remove_file(&path).unwrap();
        drop(first);
        let second = waiting.join().unwrap();
        assert!(is_at(second.file(), &path));
        assert!(Lock::is_held(&path).unwrap() && Lock::try_acquire(&path).unwrap().is_none());
    }

    #[test]
    fn a_pipe_is_not_a_lock_that_is_held() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("lock");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        assert!(!Lock::is_held(&path).unwrap());
        assert!(Lock::acquire(&path).is_err());
    }
}
