//! Users and groups, in `/etc/passwd` and `/etc/group`.

use std::collections::BTreeSet;

use crate::check::comparison::Unread;
use crate::check::comparison::account_files::{AccountFile, AccountFiles};
use crate::check::expectations::{Found, GossProperty};
use crate::linux::account_file::{self, ID, NAME};

/// The lines of an account file, which has none if it does not exist.
fn lines(file: &AccountFile) -> Result<&[Vec<String>], Unread> {
    Ok(file.as_ref().map_err(Clone::clone)?.as_deref().unwrap_or_default())
}

impl AccountFiles {
    pub(super) fn has_user(&self, name: &str) -> Result<bool, Unread> {
        Ok(field(lines(&self.users)?, NAME, name, NAME).is_some())
    }

    pub(super) fn has_group(&self, name: &str) -> Result<bool, Unread> {
        Ok(field(lines(&self.groups)?, NAME, name, NAME).is_some())
    }

    /// The name of the user with this number.
    pub(super) fn user_name(&self, id: u64) -> Result<Option<Found>, Unread> {
        Ok(field(lines(&self.users)?, ID, &id.to_string(), NAME).map(text))
    }

    /// The name of the group with this number.
    pub(super) fn group_name(&self, id: u64) -> Result<Option<Found>, Unread> {
        Ok(field(lines(&self.groups)?, ID, &id.to_string(), NAME).map(text))
    }

    /// The number of the group called `name`.
    pub(super) fn group_id(&self, name: &str) -> Result<Option<Found>, Unread> {
        Ok(field(lines(&self.groups)?, NAME, name, ID).and_then(number))
    }

    /// Returns a property of the user called `name`.
    pub(super) fn user_property(
        &self,
        name: &str,
        property: GossProperty,
    ) -> Result<Option<Found>, Unread> {
        let users = lines(&self.users)?;
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
                let groups = lines(&self.groups)?.iter().filter(is_in);
                let names = groups.filter_map(|line| line.first()).cloned();
                // goss sorts them, each once.
                Some(Found::List(names.collect::<BTreeSet<_>>().into_iter().collect()))
            }
            _ => None,
        })
    }
}

/// A field of the first line in which the field with the index `key` is `value`.
fn field<'l>(lines: &'l [Vec<String>], key: usize, value: &str, index: usize) -> Option<&'l str> {
    account_file::find(lines, key, value)?.get(index).map(String::as_str)
}

fn text(text: &str) -> Found {
    Found::Text(text.to_owned())
}

fn number(text: &str) -> Option<Found> {
    text.parse().ok().map(Found::Number)
}
