//! The user of a step: numbers for the names in an image's `/etc/passwd` and `/etc/group`.

use std::path::PathBuf;

use super::merged;
use crate::linux::account_file::{self, ID, NAME};
use crate::text;

/// The user and group that a command runs as, and the user's home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
}

/// The most bytes that are read of a file with users.
const FILE_MAX: u64 = 4 << 20;

/// Finds `user`, written as for Docker `USER[:GROUP]`, in the image with the layers in `lower`,
/// lowest first.
pub(super) fn find(user: &str, lower: &[PathBuf]) -> Result<User, String> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (user, None),
    };
    let entry = line_of("passwd", name, lower);
    let field = |index: usize| entry.as_ref().and_then(|fields| fields.get(index));
    let number = |text: Option<&String>| text.and_then(|text| text.parse().ok());
    let unknown = |name: &str, file: &str| {
        let name = text::quote(name);
        format!(
            "the image's /etc/{file} does not have {name}; add it to accounts, or in a step before"
        )
    };
    let uid = number(field(2)).or_else(|| name.parse().ok());
    let uid = uid.ok_or_else(|| unknown(name, "passwd"))?;
    let gid = match group {
        Some(group) => number(line_of("group", group, lower).as_ref().and_then(|f| f.get(2)))
            .or_else(|| group.parse().ok())
            .ok_or_else(|| unknown(group, "group"))?,
        None => number(field(3)).unwrap_or(0),
    };
    let home = field(5).filter(|home| home.starts_with('/')).cloned();
    Ok(User { uid, gid, home: home.unwrap_or_else(|| "/".to_owned()) })
}

/// The fields of the line in `/etc/FILE` whose name or number is `name`.
fn line_of(file: &str, name: &str, lower: &[PathBuf]) -> Option<Vec<String>> {
    let text = read(file, lower)?;
    let lines = account_file::lines(&text);
    let by = |index: usize| account_file::find(&lines, index, name);
    by(NAME).or_else(|| by(ID)).map(<[String]>::to_vec)
}

/// The text of `/etc/FILE` in the image.
fn read(file: &str, lower: &[PathBuf]) -> Option<String> {
    let bytes = merged::read(&format!("etc/{file}"), lower, FILE_MAX)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
