//! Looks at files of this machine and says what they become in an image. Nothing is opened, no symlink is
//! followed.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, FileType, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use super::BuildError;
use crate::archive::ArchiveError;
use crate::archive::entry::{FileContent, Kind};
use crate::archive::tree::WHITEOUT;

/// Something found in a folder.
pub(super) struct Child {
    pub(super) name: Box<[u8]>,
    pub(super) metadata: Metadata,
}

/// Tells `each` of everything in `folder`, in no order: a folder may hold more than fits into memory.
pub(super) fn children(
    folder: &Path,
    mut each: impl FnMut(Child) -> Result<(), BuildError>,
) -> Result<(), BuildError> {
    let child = |entry: std::io::Result<DirEntry>| {
        let entry = entry?;
        Ok(Child { metadata: entry.metadata()?, name: entry.file_name().into_vec().into() })
    };
    for entry in fs::read_dir(folder).map_err(ArchiveError::read(folder))? {
        let child = child(entry).map_err(ArchiveError::read(folder))?;
        if child.name.starts_with(WHITEOUT) {
            let path = folder.join(OsStr::from_bytes(&child.name));
            return Err(BuildError::unfit(
                path,
                "has a name that a layer takes for a removal; rename it",
            ));
        }
        each(child)?;
    }
    Ok(())
}

/// What `name` in `folder` becomes in an image. Hard links are files of their own: how many names a file
/// has on this machine is this machine's matter (a Nix store that was optimised has more), and the same
/// contents must give the same bytes everywhere.
pub(super) fn kind(
    folder: &Arc<Path>,
    name: &[u8],
    metadata: &Metadata,
) -> Result<Kind, BuildError> {
    let path = || folder.join(OsStr::from_bytes(name));
    let kind = metadata.file_type();
    if kind.is_dir() {
        Ok(Kind::Directory)
    } else if kind.is_file() {
        Ok(Kind::File(FileContent::new(Arc::clone(folder), metadata)))
    } else if kind.is_symlink() {
        let target = fs::read_link(path()).map_err(ArchiveError::read(path()))?;
        Ok(Kind::Symlink(target.into_os_string().into_vec().into()))
    } else {
        special(kind, metadata).ok_or_else(|| {
            BuildError::unfit(
                path(),
                "is a socket, which no image can hold; remove it from the contents",
            )
        })
    }
}

fn special(kind: FileType, metadata: &Metadata) -> Option<Kind> {
    let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
    if kind.is_fifo() {
        Some(Kind::Fifo)
    } else if kind.is_char_device() {
        Some(Kind::CharDevice(major, minor))
    } else if kind.is_block_device() {
        Some(Kind::BlockDevice(major, minor))
    } else {
        None
    }
}

/// The twelve permission bits; symlinks have none of their own.
pub(super) fn mode(metadata: &Metadata) -> u32 {
    if metadata.is_symlink() { 0o777 } else { metadata.mode() & 0o7777 }
}
