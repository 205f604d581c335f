//! The cache folder, which must be the user's own: what is in it goes into images.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::text;

/// A cache folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the cache folder {path} cannot be used", path = text::path(path))]
pub(crate) struct CacheDirError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
    /// Whether the folder exists, but others can change it.
    pub(crate) is_unsafe: bool,
}

/// The folder for files that can be made again: `$XDG_CACHE_HOME/seatrial`, else
/// `~/.cache/seatrial`. A place that all users share would let others choose its contents.
///
/// A home that does not exist must stay so: Nix gives builders the home `/homeless-shelter`, and
/// refuses all builds on a host that has it.
fn root() -> Option<PathBuf> {
    let folder =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || folder("HOME").filter(|home| home.is_dir()).map(|home| home.join(".cache"));
    folder("XDG_CACHE_HOME").or_else(home).map(|cache| cache.join("seatrial"))
}

/// Returns the folder of the cache with the path `parts`, and creates what is missing of it, for
/// this user only.
///
/// # Errors
/// If it cannot be created, or if another user can write to a folder on the way from the cache
/// folder on.
pub(crate) fn folder(parts: &[&str]) -> Result<PathBuf, CacheDirError> {
    let mut path = root().ok_or_else(|| CacheDirError {
        path: "~/.cache/seatrial".into(),
        source: io::Error::other("set HOME, to a folder that exists, or XDG_CACHE_HOME"),
        is_unsafe: false,
    })?;
    let error = |path: &Path, is_unsafe| {
        let path = path.to_owned();
        move |source| CacheDirError { path, source, is_unsafe }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(error(&path, false))?;
    check_parent(&path).and_then(|()| check(&path)).map_err(error(&path, true))?;
    for part in parts {
        path.push(part);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error(&path, false)(source));
            }
            _ => check(&path).map_err(error(&path, true))?,
        }
    }
    Ok(path)
}

/// Checks that no other user can replace the folder at `path` by one of their own.
fn check_parent(path: &Path) -> io::Result<()> {
    let parent = fs::metadata(path.parent().unwrap_or(path))?;
    let user = rustix::process::geteuid().as_raw();
    let can_replace = parent.mode() & 0o002 != 0 && parent.mode() & 0o1000 == 0;
    if can_replace || ![user, 0].contains(&parent.uid()) {
        return Err(unsafe_folder(
            "other users can replace it; set XDG_CACHE_HOME to a folder of your own",
        ));
    }
    Ok(())
}

fn unsafe_folder(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, problem.into())
}

/// Checks that the folder at `path` belongs to this user, that no other user can write to it, and
/// that a symlink to it is not another user's.
fn check(path: &Path) -> io::Result<()> {
    let link = fs::symlink_metadata(path)?;
    let folder = fs::metadata(path)?;
    let user = rustix::process::geteuid().as_raw();
    let problem = if ![user, 0].contains(&link.uid()) && link.is_symlink() {
        format!("it is a symlink of another user (uid {})", link.uid())
    } else if !folder.is_dir() {
        "it is not a folder; remove it".to_owned()
    } else if folder.uid() != user {
        format!(
            "it belongs to another user (uid {}); set XDG_CACHE_HOME to a folder of your own",
            folder.uid()
        )
    } else if folder.mode() & 0o022 != 0 {
        "other users can write to it; remove it".to_owned()
    } else {
        return Ok(());
    };
    Err(unsafe_folder(problem))
}

/// The size limit of a folder of blobs in bytes: `SEATRIAL_CACHE_MIB`, or the default.
pub(crate) fn blobs_limit() -> u64 {
    let limit = std::env::var(BLOBS_MIB_VARIABLE).ok().and_then(|text| text.parse().ok());
    limit.unwrap_or(DEFAULT_BLOBS_MIB).saturating_mul(1 << 20)
}

/// The default limit for a folder of blobs, in MiB.
const DEFAULT_BLOBS_MIB: u64 = 4096;
/// The variable that overrides it.
const BLOBS_MIB_VARIABLE: &str = "SEATRIAL_CACHE_MIB";

/// Whether the open file with `metadata` belongs to this user.
pub(crate) fn is_own(metadata: &fs::Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}
