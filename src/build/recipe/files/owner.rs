//! Owners as `chown` accepts them: `USER[:GROUP]`, by name or number.

use std::fmt;

use crate::text;

/// The highest number of a user or group: the one above means none (`chown(2)`).
pub(super) const ID_MAX: u32 = u32::MAX - 1;

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// By number.
    Id(u32),
    /// By name.
    Name(String),
}

/// The owner of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerSpec {
    /// The user.
    pub user: Account,
    /// The group. Without one, it is the primary group of a user by name, and the same number as
    /// that of a user by number.
    pub group: Option<Account>,
}

impl OwnerSpec {
    /// Parses `USER` or `USER:GROUP`.
    ///
    /// # Errors
    /// If the user or the group is neither a number nor a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let account = |part: &str| {
            Account::parse(part).ok_or_else(|| {
                format!(
                    "{} is not an owner; expected one such as \"1000:1000\" or \"app\"",
                    text::quote(text)
                )
            })
        };
        Ok(Self { user: account(user)?, group: group.map(account).transpose()? })
    }
}

impl Account {
    fn parse(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|id| *id <= ID_MAX).map(Self::Id);
        }
        is_name(text).then(|| Self::Name(text.to_owned()))
    }
}

/// Whether `text` can be the name of a user or group: of the characters in `/etc/passwd`, those
/// with a meaning of their own are no part of names.
pub(super) fn is_name(text: &str) -> bool {
    let is_valid = |c: char| !c.is_control() && !c.is_whitespace() && !":,/".contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(is_valid)
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}
