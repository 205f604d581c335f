//! The inputs of a step as mounts of its sandbox.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::bwrap::Options;
use crate::archive::ArchiveError;
use crate::steps::StepError;
use crate::steps::step::Input;

/// Mounts the file or folder `source` of `input` at `target`, without the files that are left out.
/// If there are any, the other entries of their folders are mounted one by one.
pub(super) fn mount(
    input: &Input,
    source: &Path,
    target: &Path,
    options: &mut Options,
) -> Result<(), StepError> {
    let hidden: Vec<&PathBuf> = input.left_out.iter().filter(|path| is_there(path)).collect();
    if hidden.is_empty() {
        options.mount("--ro-bind", source, target);
        return Ok(());
    }
    options.permissions(mode(source)?);
    options.add_paths([OsStr::new("--tmpfs"), target.as_os_str()]);
    entries(source, target, &hidden, options)?;
    options.add_paths([OsStr::new("--remount-ro"), target.as_os_str()]);
    Ok(())
}

/// Mounts the entries of the folder `source` in `target`, except for those that are `hidden`.
fn entries(
    source: &Path,
    target: &Path,
    hidden: &[&PathBuf],
    options: &mut Options,
) -> Result<(), StepError> {
    let failed = || ArchiveError::read(source);
    for entry in fs::read_dir(source).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let (path, target) = (entry.path(), target.join(entry.file_name()));
        let kind = entry.file_type().map_err(failed())?;
        if hidden.contains(&&path) {
            continue;
        }
        if kind.is_symlink() {
            let link = fs::read_link(&path).map_err(ArchiveError::read(&path))?;
            options.mount("--symlink", &link, &target);
        } else if kind.is_dir() && hidden.iter().any(|hidden| hidden.starts_with(&path)) {
            options.permissions(mode(&path)?);
            options.add_paths([OsStr::new("--dir"), target.as_os_str()]);
            entries(&path, &target, hidden, options)?;
        } else {
            options.mount("--ro-bind", &path, &target);
        }
    }
    Ok(())
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn mode(folder: &Path) -> Result<u32, StepError> {
    let metadata = folder.metadata().map_err(ArchiveError::read(folder))?;
    Ok(metadata.permissions().mode() & 0o7777)
}
