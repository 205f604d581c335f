//! Users and groups, in `/etc/passwd` and `/etc/group`.

use std::collections::BTreeSet;

use crate::archive::files::FileInfo;
use crate::check::comparison::file;
use crate::check::expectations::{Found, GossProperty};
use crate::linux::account_file::{self, ID, Lines, NAME};

/// The files with the accounts: users and groups. Symlinks there are followed.
pub(in crate::check) const ACCOUNT_FILES: [&str; 2] = ["/etc/passwd", "/etc/group"];

/// The files with accounts that were found, with their paths.
#[derive(Default)]
pub(in crate::check) struct AccountFiles {
    pub users: Option<(String, FileInfo)>,
    pub groups: Option<(String, FileInfo)>,
}

/// The accounts of an image or a container; or the reason why a file with them is not read.
pub(in crate::check) struct Accounts {
    users: Result<Lines, String>,
    groups: Result<Lines, String>,
}

impl Default for Accounts {
    fn default() -> Self {
        AccountFiles::default().into()
    }
}

impl From<AccountFiles> for Accounts {
    fn from(AccountFiles { users, groups }: AccountFiles) -> Self {
        let lines = |file: Option<(String, FileInfo)>| match file {
            Some((path, found)) => Ok(lines(file::content(&path, &found)?.unwrap_or_default())),
            None => Ok(Lines::new()),
        };
        Self { users: lines(users), groups: lines(groups) }
    }
}

impl Accounts {
    /// Accounts that are not known, for this reason.
    pub(in crate::check) fn unknown(problem: String) -> Self {
        Self { users: Err(problem.clone()), groups: Err(problem) }
    }

    fn users(&self) -> Result<&Lines, String> {
        self.users.as_ref().map_err(Clone::clone)
    }

    fn groups(&self) -> Result<&Lines, String> {
        self.groups.as_ref().map_err(Clone::clone)
    }

    pub(super) fn has_user(&self, name: &str) -> Result<bool, String> {
        Ok(field(self.users()?, NAME, name, NAME).is_some())
    }

    pub(super) fn has_group(&self, name: &str) -> Result<bool, String> {
        Ok(field(self.groups()?, NAME, name, NAME).is_some())
    }

    /// The name of the user with this number.
    pub(super) fn user_name(&self, id: u64) -> Result<Option<Found>, String> {
        Ok(field(self.users()?, ID, &id.to_string(), NAME).map(text))
    }

    /// The name of the group with this number.
    pub(super) fn group_name(&self, id: u64) -> Result<Option<Found>, String> {
        Ok(field(self.groups()?, ID, &id.to_string(), NAME).map(text))
    }

    /// The number of the group called `name`.
    pub(super) fn group_id(&self, name: &str) -> Result<Option<Found>, String> {
        Ok(field(self.groups()?, NAME, name, ID).and_then(number))
    }

    /// Returns a property of the user called `name`.
    pub(super) fn user_property(
        &self,
        name: &str,
        property: GossProperty,
    ) -> Result<Option<Found>, String> {
        let users = self.users()?;
        let of_user = |index| field(users, NAME, name, index);
        Ok(match property {
            GossProperty::Uid => of_user(ID).and_then(number),
            GossProperty::Gid => of_user(3).and_then(number),
            GossProperty::Home => of_user(5).map(text),
            GossProperty::Shell => of_user(6).map(text),
            GossProperty::Groups => {
                let Some(primary) = of_user(3) else { return Ok(None) };
                let is_in = |line: &&Vec<String>| {
                    let members = line.get(3).map_or("", String::as_str);
                    line.get(ID).is_some_and(|gid| gid == primary)
                        || members.split(',').any(|member| member == name)
                };
                let groups = self.groups()?.iter().filter(is_in);
                let names = groups.filter_map(|line| line.first()).cloned();
                // goss sorts them, each once.
                Some(Found::List(names.collect::<BTreeSet<_>>().into_iter().collect()))
            }
            _ => None,
        })
    }
}

fn lines(content: &[u8]) -> Lines {
    account_file::lines(&String::from_utf8_lossy(content))
}

/// A field of the first line in which the field with the index `key` is `value`.
fn field<'l>(lines: &'l Lines, key: usize, value: &str, index: usize) -> Option<&'l str> {
    account_file::find(lines, key, value)?.get(index).map(String::as_str)
}

fn text(text: &str) -> Found {
    Found::Text(text.to_owned())
}

fn number(text: &str) -> Option<Found> {
    text.parse().ok().map(Found::Number)
}
