//! Reads folders of the host and converts files to layer entries. Opens no file and follows no
//! symlink.

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

/// An entry of a folder.
pub(super) struct Child {
    pub(super) name: Box<[u8]>,
    pub(super) metadata: Metadata,
}

/// Calls `each` for every entry of `folder`, in no particular order: a folder may have more entries
/// than fit into memory.
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
            let problem = "names that begin with \".wh.\" mean a removal in a layer; rename it";
            return Err(BuildError::content(path, problem));
        }
        each(child)?;
    }
    Ok(())
}

/// The kind of entry that `name` in `folder` becomes. Hard links become separate files: the number
/// of links differs between hosts (an optimised Nix store has more), and the same contents must
/// give the same bytes everywhere.
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
            let problem = "an image cannot contain a socket; remove it from the contents";
            BuildError::content(path(), problem)
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

/// The permission bits, including setuid, setgid and sticky. Those of symlinks have no meaning.
pub(super) fn mode(metadata: &Metadata) -> u32 {
    if metadata.is_symlink() { 0o777 } else { metadata.mode() & 0o7777 }
}
