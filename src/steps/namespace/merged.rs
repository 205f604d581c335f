//! Files of unpacked layers, as overlayfs shows them on top of each other.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fgetxattr, open, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::linux::LINKS_MAX;
use crate::steps::changes::OverlayFormat;

/// The flags for folders. No link of the image is followed by Linux, so none leads to the host.
const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder of the image: those of the layers that have it, topmost first.
type Folders = Vec<OwnedFd>;

/// Something that the image has.
enum Found {
    Folder(Folders),
    File(File),
    Symlink(Vec<u8>),
}

/// A path of the image as a mount point of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MountPoint {
    /// The image has nothing there.
    Absent,
    /// The image has a file there.
    File,
    /// The image has a folder there, or a symlink on the way: the file would be mounted elsewhere.
    Unusable,
}

/// The file `name` in the top-level folder `folder` of the image as a mount point.
pub(super) fn mount_point(folder: &str, name: &str, lower: &[PathBuf]) -> MountPoint {
    let found = match find(&roots(lower), folder.as_bytes()) {
        None => return MountPoint::Absent,
        Some(Found::Folder(folders)) => find(&folders, name.as_bytes()),
        Some(Found::File(_) | Found::Symlink(_)) => return MountPoint::Unusable,
    };
    match found {
        None => MountPoint::Absent,
        Some(Found::File(_)) => MountPoint::File,
        Some(Found::Folder(_) | Found::Symlink(_)) => MountPoint::Unusable,
    }
}

/// The root folders of the layers in `lower`, topmost first.
fn roots(lower: &[PathBuf]) -> Folders {
    lower.iter().rev().filter_map(|folder| open(folder, FOLDER, Mode::empty()).ok()).collect()
}

/// Reads at most `max` bytes of the regular file at `path` in the image with the layers in `lower`,
/// lowest first. Symlinks are followed within the image. `None` if there is no such file.
pub(super) fn read(path: &str, lower: &[PathBuf], max: u64) -> Option<Vec<u8>> {
    let parts = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect()
    };
    let mut folders = vec![roots(lower)];
    let mut remaining = parts(path.as_bytes());
    let mut links = 0;
    while let Some(part) = remaining.pop() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                folders.truncate((folders.len() - 1).max(1));
                continue;
            }
            _ => {}
        }
        match find(folders.last()?, &part)? {
            Found::Folder(found) => folders.push(found),
            Found::Symlink(target) => {
                links += 1;
                if links > LINKS_MAX {
                    return None;
                }
                if target.starts_with(b"/") {
                    folders.truncate(1);
                }
                remaining.extend(parts(&target));
            }
            Found::File(file) if remaining.is_empty() => {
                let mut bytes = Vec::new();
                file.take(max).read_to_end(&mut bytes).ok()?;
                return Some(bytes);
            }
            Found::File(_) => return None,
        }
    }
    None
}

/// The file `name` in a folder of the image.
fn find(folders: &Folders, name: &[u8]) -> Option<Found> {
    let mut found = Folders::new();
    for folder in folders {
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat.ok()?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            let child = openat(folder, name, FOLDER, Mode::empty()).ok()?;
            let is_opaque = is_opaque(&child);
            found.push(child);
            if is_opaque {
                break;
            }
            continue;
        }
        // Anything but a folder hides what is below it, whiteouts too.
        if !found.is_empty() {
            break;
        }
        return match kind {
            FileType::Symlink => {
                let target = readlinkat(folder, name, Vec::new()).ok()?;
                Some(Found::Symlink(target.into_bytes()))
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = openat(folder, name, flags, Mode::empty()).ok()?;
                Some(Found::File(File::from(file)))
            }
            _ => None,
        };
    }
    (!found.is_empty()).then_some(Found::Folder(found))
}

/// Whether a folder of a layer hides those of the layers below it.
fn is_opaque(folder: &OwnedFd) -> bool {
    let mut value = [0_u8; 2];
    let length = fgetxattr(folder, OverlayFormat::User.opaque(), &mut value[..]);
    length == Ok(1) && value[0] == b'y'
}
