//! Digests of a step's inputs.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::step::Input;
use crate::archive::ArchiveError;
use crate::image::Digest;
use crate::image::digest::Hasher;

/// The digest of what the step sees of `input`: names, kinds, permissions, contents and link
/// targets, but no owners and times.
pub(super) fn digest(input: &Input) -> Result<Digest, ArchiveError> {
    let mut hasher = Hasher::default();
    let source = &input.source;
    let resolved = fs::canonicalize(source).map_err(ArchiveError::read(source))?;
    add(&resolved, b"", &input.left_out, &mut hasher)?;
    Ok(hasher.finish())
}

fn add(
    path: &Path,
    name: &[u8],
    left_out: &[PathBuf],
    hasher: &mut Hasher,
) -> Result<(), ArchiveError> {
    let failed = |error: io::Error| ArchiveError::read(path)(error);
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    let kind = metadata.file_type();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(name);
    field(&(metadata.permissions().mode() & 0o7777).to_le_bytes());
    if kind.is_dir() {
        field(b"folder");
        let names: io::Result<Vec<_>> =
            fs::read_dir(path).map_err(failed)?.map(|child| Ok(child?.file_name())).collect();
        let mut names = names.map_err(failed)?;
        names.sort();
        for name in names {
            let child = path.join(&name);
            if !left_out.contains(&child) {
                add(&child, name.as_bytes(), left_out, hasher)?;
            }
        }
        hasher.update(b"end");
    } else if kind.is_symlink() {
        field(b"symlink");
        field(fs::read_link(path).map_err(failed)?.as_os_str().as_bytes());
    } else if kind.is_file() {
        field(b"file");
        field(&metadata.len().to_le_bytes());
        hasher.update_from(File::open(path).map_err(failed)?).map_err(failed)?;
    } else {
        field(b"special");
    }
    Ok(())
}
