//! The inputs of a step as mounts of its sandbox.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::bwrap::Options;
use super::work::make_folder;
use crate::archive::ArchiveError;
use crate::steps::StepError;
use crate::steps::step::Input;

/// Mounts the overlays of inputs of which files are hidden; a part of a script that runs in the
/// working folder. Each overlay is made of what `mount` has left in a folder of its own.
pub(super) const MOUNT_OVERLAYS: &str = r#"for input in filtered-*; do
    [ -d "$input" ] || continue
    mount -n -t overlay overlay -o "lowerdir=$input/hidden:$input/source,userxattr" "$input/shown" \
        2>input-errors || exit 1
done"#;
/// The beginning of the names of these folders.
const FILTERED: &str = "filtered-";
/// The contents of such a folder: whiteouts, a symlink to the input, and the mount point.
const HIDDEN: &str = "hidden";
const SOURCE: &str = "source";
const SHOWN: &str = "shown";
/// The errors of these mounts.
pub(super) const MOUNT_ERRORS: &str = "input-errors";

/// Mounts the file or folder `source` of the input with this `number` at `target`, without the
/// files that are left out. If it may have any, it becomes an overlay in the folder `work`.
pub(super) fn mount(
    (number, input): (usize, &Input),
    source: &Path,
    target: &Path,
    work: &Path,
    options: &mut Options,
) -> Result<(), StepError> {
    let left_out = input.left_out.iter().filter_map(|path| path.strip_prefix(source).ok());
    let has_folder = |path: &&Path| path.parent().is_some_and(|above| source.join(above).is_dir());
    let left_out: BTreeSet<&Path> = left_out.filter(has_folder).collect();
    if left_out.is_empty() {
        options.mount("--ro-bind", source, target);
        return Ok(());
    }
    let folder = work.join(format!("{FILTERED}{number}"));
    let (shown, link) = (folder.join(SHOWN), folder.join(SOURCE));
    make_folder(&folder, 0o755)?;
    make_folder(&shown, 0o755)?;
    symlink(source, &link).map_err(StepError::io("create", &link))?;
    hide(&left_out, source, &folder.join(HIDDEN))?;
    options.mount("--ro-bind", &shown, target);
    Ok(())
}

/// Makes the folder `layer`, which hides the files `left_out` of the folder `source` if overlayfs
/// lays it on top.
fn hide(left_out: &BTreeSet<&Path>, source: &Path, layer: &Path) -> Result<(), StepError> {
    let folders: BTreeSet<&Path> =
        left_out.iter().flat_map(|path| path.ancestors().skip(1)).collect();
    folders.iter().try_for_each(|folder| make_folder(&layer.join(folder), 0o700))?;
    for path in left_out {
        let whiteout = layer.join(path);
        mknodat(CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), 0)
            .map_err(|error| StepError::io("create", &whiteout)(error.into()))?;
    }
    // Their contents first, since these change their times, and need permissions.
    for folder in folders.iter().rev() {
        let (source, own) = (source.join(folder), layer.join(folder));
        let metadata = source.metadata().map_err(ArchiveError::read(&source))?;
        let is_changed = left_out.iter().any(|path| path.parent() == Some(folder));
        // Writing an output has changed the time of its folder, so that it must not count.
        let time = match is_changed {
            true => SystemTime::UNIX_EPOCH,
            false => metadata.modified().map_err(ArchiveError::read(&source))?,
        };
        let mode = metadata.permissions().mode() & 0o7777;
        File::open(&own)
            .and_then(|folder| folder.set_modified(time))
            .and_then(|()| fs::set_permissions(&own, PermissionsExt::from_mode(mode)))
            .map_err(StepError::io("write", &own))?;
    }
    Ok(())
}
