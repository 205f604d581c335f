//! Keys of the recipe that are in one of its tables.

use super::settings::Settings;
use crate::document::keys_of;

/// Keys that users do not mean for the recipe if they write them in a table: owners, and the names
/// of `[[path]]`, `[[layer]]` and `[[run]]`.
const OTHERS: [&str; 7] = ["uid", "gid", "uname", "gname", "path", "layer", "run"];

/// The hint for the key `key` in a table, if it is one of the recipe itself: in TOML, everything
/// behind the header of a table is part of that table.
pub(super) fn top_level_hint(key: &str) -> Option<&'static str> {
    let is_top = keys_of::<Settings>().contains(&key) && !OTHERS.contains(&key);
    is_top.then_some(
        "; it is a key of the recipe: write it at the top level (in TOML, above the first [table])",
    )
}
