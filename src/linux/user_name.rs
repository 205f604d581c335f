//! The names of this host's users.

use super::account_file::{self, ID, NAME};

/// The name of the user `uid` in `/etc/passwd`, whatever the environment says.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let lines = account_file::lines(&passwd);
    let name = account_file::find(&lines, ID, &uid.to_string())?.get(NAME)?.clone();
    Some(name).filter(|name| !name.is_empty())
}
