//! Keys of the recipe that are in one of its tables.

use crate::build::settings::Settings;
use crate::document::keys_of;

/// Owners, which users mean for a table if they write them there.
const OWNER_KEYS: [&str; 4] = ["uid", "gid", "uname", "gname"];

/// The hint for the key `key` in a table, if it is one of the recipe itself: in TOML, everything
/// behind the header of a table is part of that table.
pub(super) fn top_level_hint(key: &str) -> Option<&'static str> {
    let is_top = keys_of::<Settings>().contains(&key) && !OWNER_KEYS.contains(&key);
    is_top.then_some("; it is a key of the recipe: write it above the first [table]")
}
