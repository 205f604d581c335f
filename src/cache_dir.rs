//! Where what can be made again is kept.

use std::path::PathBuf;

/// The folder for it: `$XDG_CACHE_HOME/seatrial`, else `~/.cache/seatrial`, else one in the folder for temporary files.
pub(crate) fn path() -> PathBuf {
    let set =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("seatrial")
}
