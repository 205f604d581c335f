//! Folders of the cache and of VMs.
//!
//! Everything here is private, whatever the umask is: folders have mode 0700, and files mode 0600.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::vm::VmError;
use crate::vm::locks::Lock;

/// Assembled guests.
pub(super) const GUESTS: &str = "guests";
/// Snapshots.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// A folder for each VM that runs.
pub(super) const VMS: &str = "vms";

/// Returns the cache folder, and creates it if it is missing.
///
/// # Errors
/// If other users can change it, or replace it by another folder: they could read and change what
/// VMs are made of.
pub(super) fn cache_root() -> Result<PathBuf, VmError> {
    let root = crate::files::cache_dir::folder(&[]);
    let root = root.map_err(|error| VmError::file("use", error.path)(error.source))?;
    let real = fs::canonicalize(&root).map_err(VmError::file("find", &root))?;
    for ancestor in real.ancestors().skip(1) {
        check_above(&root, ancestor)?;
    }
    Ok(root)
}

/// Returns the folder `name` in the cache, and creates it if it is missing.
pub(super) fn cache_folder(name: &str) -> Result<PathBuf, VmError> {
    cache_root()?;
    let path = crate::files::cache_dir::folder(&[name]);
    let path = path.map_err(|error| VmError::file("use", error.path)(error.source))?;
    make_private(&path)?;
    Ok(path)
}

/// Checks that no other user can replace `cache` by changing `folder`, which is above it. Root may
/// own it, and everyone may create entries if nobody can rename those of others, as in `/tmp`.
fn check_above(cache: &Path, folder: &Path) -> Result<(), VmError> {
    let metadata = fs::metadata(folder).map_err(VmError::file("read the owner of", folder))?;
    let (mode, owner) = (metadata.mode(), metadata.uid());
    let user = rustix::process::geteuid().as_raw();
    let (problem, writable) = if owner != user && !is_root(owner) {
        (format!("belongs to the user with ID {owner}"), false)
    } else if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        (format!("is writable by other users (mode {:04o})", mode & 0o7777), true)
    } else {
        return Ok(());
    };
    let (cache, folder) = (cache.to_owned(), folder.to_owned());
    Err(VmError::UnsafeCache { cache, folder, problem, writable })
}

/// Whether `owner` is root. In a user namespace, as in containers, the host's root may have no ID,
/// and appears as "nobody" (user_namespaces(7)).
fn is_root(owner: u32) -> bool {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let all_ids = u32::MAX.to_string();
    owner == 0
        || read("/proc/sys/kernel/overflowuid").trim() == owner.to_string()
            && !read("/proc/self/uid_map").split_whitespace().any(|count| count == all_ids)
}

/// Sets the mode of a folder to 0700, if it is another one.
///
/// # Errors
/// If `path` is not a folder, or belongs to another user.
pub(super) fn make_private(path: &Path) -> Result<(), VmError> {
    let metadata = fs::symlink_metadata(path).map_err(VmError::file("read the mode of", path))?;
    if !metadata.is_dir() {
        return Err(VmError::file("use", path)(io::ErrorKind::NotADirectory.into()));
    }
    if metadata.mode() & 0o7777 == 0o700 && metadata.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))
        .map_err(VmError::file("set the mode of", path))
}

/// Creates a private folder in `parent`, whose name begins with `prefix`. It is removed when it is
/// dropped.
pub(super) fn temporary_folder(parent: &Path, prefix: &str) -> Result<TempDir, VmError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).permissions(Permissions::from_mode(0o700));
    builder.tempdir_in(parent).map_err(VmError::file("create a folder in", parent))
}

/// Creates a private file, which must not exist.
pub(super) fn create_file(path: &Path) -> Result<File, VmError> {
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    file.map_err(VmError::file("create", path))
}

/// Removes a folder, unless another process has removed it.
pub(super) fn remove_folder(path: &Path) -> Result<(), VmError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(VmError::file("remove", path)),
    }
}

/// The private folder of a VM. It is locked while its process runs and removed when it is dropped.
/// If a process was killed, the next VM that starts removes its folders. The folder of a VM that
/// another process or handle owns stays.
#[derive(Debug)]
pub(super) struct VmFolder {
    path: PathBuf,
    #[allow(dead_code)]
    owned: Option<(TempDir, Lock)>,
}

impl VmFolder {
    /// Creates a folder, and removes those that killed processes have left.
    pub(super) fn create() -> Result<Self, VmError> {
        let vms = cache_folder(VMS)?;
        // Otherwise, another process could remove the new folder before it is locked.
        let _all = Lock::acquire(&vms.join(".lock"))?;
        remove_unlocked(&vms)?;
        let folder = temporary_folder(&vms, "vm-")?;
        let lock = Lock::acquire(&folder.path().join("lock"))?;
        Ok(Self { path: folder.path().to_owned(), owned: Some((folder, lock)) })
    }

    /// The folder of a VM that another process or another handle owns.
    pub(super) fn of_other_owner(path: &Path) -> Self {
        Self { path: path.to_owned(), owned: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
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
    for entry in fs::read_dir(vms).map_err(VmError::file("read", vms))?.flatten() {
        let folder = entry.path();
        // A VM that ends removes its folder at the same time.
        if folder.is_dir() && !Lock::is_held(&folder.join("lock"))? {
            remove_folder(&folder)?;
        }
    }
    Ok(())
}

/// Removes the folders in `folder` whose names are `prefix` and random letters: unfinished work of
/// killed processes. The caller holds the lock of that name, so no process works on them. Those of
/// longer names stay, as `docker-28-arm64` is longer than `docker-28`: processes may work on them.
pub(super) fn remove_unfinished(folder: &Path, prefix: &str) -> Result<(), VmError> {
    for entry in fs::read_dir(folder).map_err(VmError::file("read", folder))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(prefix).is_some_and(|random| !random.contains('-')) {
            remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

/// Writes a file, and creates the folders on its path.
pub(super) fn write(path: &Path, content: &str) -> Result<(), VmError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(VmError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_above_the_cache_that_others_can_change_is_refused() {
        let parent = TempDir::new().unwrap();
        let check = || check_above(&parent.path().join("seatrial"), parent.path());
        for (mode, safe) in
            [(0o700, true), (0o755, true), (0o1777, true), (0o777, false), (0o775, false)]
        {
            set_mode(parent.path(), mode);
            assert_eq!(check().is_ok(), safe, "{mode:o}");
        }
        let error = check().unwrap_err().to_string();
        assert!(error.contains("is writable by other users (mode 0775)"), "{error}");
    }

    #[test]
    fn folders_and_files_are_private() {
        let parent = TempDir::new().unwrap();
        let folder = temporary_folder(parent.path(), "vm-").unwrap();
        assert_eq!(mode(folder.path()), 0o700);
        set_mode(folder.path(), 0o755);
        make_private(folder.path()).unwrap();
        assert_eq!(mode(folder.path()), 0o700);
        let file = folder.path().join("file");
        create_file(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        let lock = folder.path().join("lock");
        let _lock = Lock::acquire(&lock).unwrap();
        assert_eq!(mode(&lock), 0o600);
    }

    #[test]
    fn folders_of_vms_that_end_while_they_are_listed_are_no_error() {
        let vms = TempDir::new().unwrap();
        let abandoned = vms.path().join("vm-abandoned");
        fs::create_dir(&abandoned).unwrap();
        let running = temporary_folder(vms.path(), "vm-").unwrap();
        let _lock = Lock::acquire(&running.path().join("lock")).unwrap();
        let (path, elsewhere) = (vms.path().to_owned(), TempDir::new().unwrap());
        let ending = std::thread::spawn(move || {
            for index in 0..300 {
                let (new, folder) = (elsewhere.path().join("new"), path.join(index.to_string()));
                fs::create_dir(&new).unwrap();
                fs::write(new.join("lock"), "").unwrap();
                fs::rename(&new, &folder).unwrap();
                let _ = fs::remove_dir_all(&folder);
            }
        });
        while !ending.is_finished() {
            remove_unlocked(vms.path()).unwrap();
        }
        ending.join().unwrap();
        assert!(running.path().exists() && !abandoned.exists());
    }
}
