//! Files of unpacked layers, as overlayfs shows them on top of each other.

use std::convert::Infallible;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fgetxattr, open, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::archive::resolve::{PathNode, walk};
use crate::steps::changes::OverlayFormat;

/// The flags for folders. No link of the image is followed by Linux, so none leads to the host.
const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder of the image.
struct Folders {
    /// Those of the layers that have it, topmost first.
    open: Vec<OwnedFd>,
    /// Whether what further layers below have in it is hidden.
    is_opaque: bool,
}

/// Something that the image has.
enum Found {
    Folder(Folders),
    File(File),
    Symlink(Vec<u8>),
    /// Anything else, such as the whiteout of a removed file.
    Other,
}

/// The path in the image, without a slash at the beginning, at which a file for `path` can be
/// mounted, or made in a layer below all in `lower`, lowest first. Symlinks are followed within the
/// image. `None` if there is something else than a file, or a layer hides what is below it.
pub(super) fn place_of_file(path: &str, lower: &[PathBuf]) -> Option<String> {
    let real = real_path(path, lower)?;
    let (folders, name) = match real.rsplit_once('/') {
        Some((folder, name)) => (folder.split('/').collect(), name),
        None => (Vec::new(), real.as_str()),
    };
    let mut above = roots(lower);
    let mut is_absent = false;
    for part in folders {
        match find(&above, part.as_bytes()) {
            Some(Found::Folder(found)) => above = found,
            None if !above.is_opaque => {
                is_absent = true;
                break;
            }
            _ => return None,
        }
    }
    let is_usable = is_absent
        || match find(&above, name.as_bytes()) {
            Some(found) => matches!(found, Found::File(_)),
            None => !above.is_opaque,
        };
    is_usable.then_some(real)
}

/// Reads at most `max` bytes of the regular file at `path` in the image with the layers in `lower`,
/// lowest first. Symlinks are followed within the image. `None` if there is no such file.
pub(super) fn read(path: &str, lower: &[PathBuf], max: u64) -> Option<Vec<u8>> {
    let real = real_path(path, lower)?;
    let Found::File(file) = at(real.as_bytes(), lower)? else { return None };
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// `path` without symlinks, and without a slash at the beginning. Parts that do not exist stay as
/// they are.
fn real_path(path: &str, lower: &[PathBuf]) -> Option<String> {
    let lookup = |path: &[u8]| -> Result<PathNode, Infallible> {
        Ok(match at(path, lower) {
            Some(Found::Symlink(target)) => PathNode::Symlink(target),
            _ => PathNode::Other,
        })
    };
    let Ok(real) = walk(path.as_bytes(), true, &mut 0, lookup);
    String::from_utf8(real.ok()?.into()).ok()
}

/// The file at `path`, whose parents are no symlinks.
fn at(path: &[u8], lower: &[PathBuf]) -> Option<Found> {
    let mut found = Found::Folder(roots(lower));
    for part in path.split(|byte| *byte == b'/') {
        let Found::Folder(folders) = found else { return None };
        found = find(&folders, part)?;
    }
    Some(found)
}

/// The root folders of the layers in `lower`.
fn roots(lower: &[PathBuf]) -> Folders {
    let open = |folder| open(folder, FOLDER, Mode::empty()).ok();
    Folders { open: lower.iter().rev().filter_map(open).collect(), is_opaque: false }
}

/// The file `name` in a folder of the image.
fn find(above: &Folders, name: &[u8]) -> Option<Found> {
    let mut found = Folders { open: Vec::new(), is_opaque: above.is_opaque };
    for folder in &above.open {
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat.ok()?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            let child = openat(folder, name, FOLDER, Mode::empty()).ok()?;
            let is_opaque = is_opaque(&child);
            found.open.push(child);
            if is_opaque {
                found.is_opaque = true;
                break;
            }
            continue;
        }
        // Anything but a folder hides what is below it, whiteouts too.
        if !found.open.is_empty() {
            found.is_opaque = true;
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
            _ => Some(Found::Other),
        };
    }
    (!found.open.is_empty()).then_some(Found::Folder(found))
}

/// Whether a folder of a layer hides those of the layers below it.
fn is_opaque(folder: &OwnedFd) -> bool {
    let mut value = [0_u8; 2];
    let length = fgetxattr(folder, OverlayFormat::User.opaque(), &mut value[..]);
    length == Ok(1) && value[0] == b'y'
}
