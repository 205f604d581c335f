//! The cache folder.

use std::path::PathBuf;

/// The folder for files that can be made again: `$XDG_CACHE_HOME/seatrial`, else
/// `~/.cache/seatrial`, else `seatrial` in the folder for temporary files.
pub(crate) fn path() -> PathBuf {
    let folder =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("seatrial")
}
