//! The size of a store path as a Nix archive, for reference graphs without sizes.
//!
//! It follows from metadata (Nix manual, "Nix Archive (NAR) format"), so a closure is split into
//! the same layers whether its graph has sizes or not.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::archive::ArchiveError;

/// The size of the Nix archive of `path` in bytes.
pub(in crate::build) fn nar_size(path: &Path) -> Result<u64, ArchiveError> {
    let mut size = text("nix-archive-1") + node(path)?;
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for child in children(&folder)? {
            let name = child.file_name().unwrap_or_default().as_bytes().len() as u64;
            size += text("entry") + text("(") + text("name") + string(name) + text("node");
            size += node(&child)? + text(")");
            folders.push(child);
        }
    }
    Ok(size)
}

/// The size of a file, or of a folder without its entries.
fn node(path: &Path) -> Result<u64, ArchiveError> {
    let metadata = fs::symlink_metadata(path).map_err(ArchiveError::read(path))?;
    let size = text("(") + text("type") + text(")");
    Ok(size
        + match metadata.file_type() {
            kind if kind.is_dir() => text("directory"),
            kind if kind.is_symlink() => text("symlink") + text("target") + string(metadata.len()),
            _ => {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                let mark = if executable { text("executable") + text("") } else { 0 };
                text("regular") + mark + text("contents") + string(metadata.len())
            }
        })
}

/// The entries of a folder; none for anything else.
fn children(path: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    if !path.symlink_metadata().map_err(ArchiveError::read(path))?.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(path).map_err(ArchiveError::read(path))?;
    let path_of = |entry: std::io::Result<fs::DirEntry>| entry.map(|entry| entry.path());
    entries.map(path_of).collect::<Result<_, _>>().map_err(ArchiveError::read(path))
}

fn text(text: &str) -> u64 {
    string(text.len() as u64)
}

/// The size of a string: its length in 8 bytes, and its bytes, padded to a multiple of 8.
fn string(length: u64) -> u64 {
    8 + length.next_multiple_of(8)
}
