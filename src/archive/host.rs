//! Files of the host: opened without following symlinks, and the filesystem that they are on.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, StatxFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Opens `path` for reading and follows no symlink on the way, so that a folder that was replaced
/// by a symlink leads nowhere. Does not wait if `path` is a named pipe.
pub(crate) fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Linux before 5.6, or a container whose seccomp profile does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => open_by_component(path, flags),
        opened => Ok(opened?),
    }
}

fn open_by_component(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let to_folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut parts = path.components().peekable();
    let start = match parts.next_if_eq(&Component::RootDir) {
        Some(_) => "/",
        None => ".",
    };
    let mut folder = rustix::fs::openat(CWD, start, to_folder, Mode::empty())?;
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_some() { to_folder } else { flags };
        folder = rustix::fs::openat(&folder, part.as_os_str(), flags, Mode::empty())?;
    }
    Ok(folder)
}

/// Whether an error of [`open`] means that there is a symlink on the way.
pub(crate) fn is_symlink_error(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// A filesystem, as far as the layer cache needs to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filesystem {
    /// Its ID, which most filesystems derive from their UUID or device.
    id: u64,
    /// Whether every change of a file changes its ctime, so that equal metadata means equal
    /// content. Not so for images with fixed dates, of which another one may be mounted in the same
    /// place, and for filesystems that take their dates from elsewhere.
    pub(crate) has_ctime: bool,
    /// Whether that holds only for files with small inode numbers; see [`SMALL_INODES`].
    only_small_inodes: bool,
}

/// The types of filesystems (`linux/magic.h`) that set a file's ctime with every change: ext2 to
/// ext4, XFS, Btrfs, F2FS, bcachefs, ZFS and tmpfs. Network and FUSE filesystems are missing, since
/// their server decides; images such as EROFS and SquashFS, since their dates are set at will.
const WITH_CTIME: [u32; 7] =
    [0x0000_ef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e, 0x2fc1_2fc1, 0x0102_1994];
/// The type of overlay filesystems.
const OVERLAY: u32 = 0x794c_7630;
/// The file with `Y` or `N`: whether overlays take metadata and data of a file from different
/// layers if their mount options do not say.
const METACOPY: &str = "/sys/module/overlay/parameters/metacopy";
/// Inode numbers below this have no highest bits, in which overlays mounted with `xino` number the
/// filesystems of their layers: 0 is that of the upper layer (Linux, `ovl_map_dev_ino`).
const SMALL_INODES: u64 = 1 << 48;
/// The major number of loop devices (Linux, `admin-guide/devices.txt`): their filesystems are
/// images, which may have fixed dates whatever their type is.
const LOOP_MAJOR: u32 = 7;

impl Filesystem {
    /// The filesystem with the open folder `folder`.
    pub(crate) fn of(folder: BorrowedFd<'_>) -> Self {
        let (Ok(kind), Ok(info)) = (rustix::fs::fstatfs(folder), rustix::fs::fstatvfs(folder))
        else {
            return Self::default();
        };
        let read_only = info.f_flag.contains(StatVfsMountFlags::RDONLY);
        let (has_ctime, only_small_inodes) = match kind.f_type as u32 {
            OVERLAY => {
                let options = super_options(folder).unwrap_or_default();
                let all = all_layers_have_ctime(&options);
                (all || tells_upper_files(&options), !all)
            }
            _ => (has_ctime(folder) && !(read_only && is_read_only_image(folder)), false),
        };
        Self { id: info.f_fsid, has_ctime, only_small_inodes }
    }

    /// The filesystem as far as it holds for a file with the device number of this filesystem's
    /// folders and the number `inode`.
    pub(crate) fn of_file(self, inode: u64) -> Self {
        if self.only_small_inodes && inode >= SMALL_INODES { Self::default() } else { self }
    }
}

/// Whether the type of the filesystem at `folder` has a real ctime, and it is not on a loop device.
fn has_ctime(folder: BorrowedFd<'_>) -> bool {
    let kind = rustix::fs::fstatfs(folder).map(|info| info.f_type as u32);
    let device = rustix::fs::fstat(folder).map(|status| rustix::fs::major(status.st_dev));
    kind.is_ok_and(|kind| WITH_CTIME.contains(&kind))
        && device.is_ok_and(|major| major != LOOP_MAJOR)
}

/// Whether the filesystem itself is read-only, and not only its mount in this place, as that of
/// `/nix/store` on NixOS. Without `/proc`, it counts as such.
fn is_read_only_image(folder: BorrowedFd<'_>) -> bool {
    super_options(folder).is_none_or(|options| options.split(',').any(|option| option == "ro"))
}

/// The mount options that have a value, with it.
fn with_values(options: &str) -> impl Iterator<Item = (&str, &str)> {
    options.split(',').filter_map(|option| option.split_once('='))
}

/// Whether all filesystems below an overlay with these mount options have a real ctime. Within a
/// container, their paths are often those of the host: then this is unknown, and false.
fn all_layers_have_ctime(options: &str) -> bool {
    let layers = with_values(options).filter_map(|(name, value)| {
        matches!(name, "lowerdir" | "lowerdir+" | "datadir+" | "upperdir").then_some(value)
    });
    let folders: Vec<_> = layers.flat_map(|value| value.split(':')).collect();
    !folders.is_empty()
        && folders.into_iter().filter(|path| !path.is_empty()).all(|path| {
            let layer = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            path.starts_with('/') && layer.is_ok_and(|layer| has_ctime(layer.as_fd()))
        })
}

/// Whether files of an overlay with these mount options that have the overlay's own device number
/// and a small inode number are on the filesystem of its upper layer.
///
/// Linux gives other device numbers to files on other filesystems, or marks them in their inode
/// numbers (`ovl_map_dev_ino`). The upper layer is on a filesystem that is written to, which sets
/// a real ctime; network and FUSE filesystems cannot be upper layers.
fn tells_upper_files(options: &str) -> bool {
    let has_upper = with_values(options).any(|(name, _)| name == "upperdir");
    // Then the data of a file may be on another filesystem than its metadata.
    let has_other_data = with_values(options).any(|(name, value)| match name {
        "metacopy" => value == "on",
        "datadir+" => true,
        "lowerdir" => value.contains("::"),
        _ => false,
    });
    let is_default = || fs::read_to_string(METACOPY).is_ok_and(|value| value.trim() == "N");
    has_upper && !has_other_data && is_default()
}

/// The options of the filesystem at `folder`, from `/proc/self/mountinfo`; `None` if unknown.
fn super_options(folder: BorrowedFd<'_>) -> Option<String> {
    let info = rustix::fs::statx(folder, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    let known = StatxFlags::from_bits_retain(info.stx_mask).contains(StatxFlags::MNT_ID);
    let id = known.then(|| info.stx_mnt_id.to_string())?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.split(' ').next() == Some(&id))?;
    let (_, filesystem) = line.split_once(" - ")?;
    filesystem.split(' ').nth(2).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_not_opened_through_a_symlink() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        fs::create_dir(folder.join("real")).unwrap();
        fs::write(folder.join("real/file"), "x").unwrap();
        std::os::unix::fs::symlink("real", folder.join("link")).unwrap();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        for opened in [
            |path: &Path| open(path, OFlags::RDONLY),
            |path: &Path| open_by_component(path, OFlags::RDONLY | OFlags::NOFOLLOW),
        ] {
            assert!(opened(&folder.join("real/file")).is_ok());
            let error = opened(&folder.join("link/file")).unwrap_err();
            assert!(is_symlink_error(&error) || error.kind() == io::ErrorKind::NotADirectory);
            assert!(opened(&folder.join("missing")).is_err());
        }
        assert!(open_by_component(Path::new("Cargo.toml"), flags).is_ok());
    }

    #[test]
    fn filesystems_without_real_ctime_are_recognized() {
        for (path, has_ctime) in [("/proc", Some(false)), ("/dev/shm", None)] {
            let Ok(folder) = open(Path::new(path), OFlags::RDONLY) else { continue };
            let found = Filesystem::of(folder.as_fd());
            assert!(has_ctime.is_none_or(|expected| found.has_ctime == expected), "{path}");
        }
    }
}
