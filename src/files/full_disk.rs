//! Errors of full file systems: which one is full.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::text;

/// Adds to an error to write the file at `path` which file system is full, if that is the reason.
pub(crate) fn explain(path: &Path, error: io::Error) -> io::Error {
    let problem = match error.kind() {
        ErrorKind::StorageFull => "the file system",
        ErrorKind::QuotaExceeded => "your share of the file system",
        _ => return error,
    };
    let Some(mount) = mount_point(path) else { return error };
    let mount = text::path(&mount);
    let hint = "make room there, or write to another one";
    io::Error::new(error.kind(), format!("{error}: {problem} at {mount} is full; {hint}"))
}

/// The topmost folder of the file system that holds the file at `path`, or would hold it.
fn mount_point(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    let own = device(&folder)?;
    let is_same = |folder: &&Path| device(folder) == Some(own);
    folder.ancestors().take_while(is_same).last().map(Path::to_owned)
}
