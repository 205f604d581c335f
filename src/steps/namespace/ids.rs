//! The users and groups of a user namespace.
//!
//! Root of the namespace is this user. The other IDs come from the ranges that `/etc/subuid` and
//! `/etc/subgid` give the user, through `newuidmap` and `newgidmap`. Without ranges, there are no
//! others. If this user is root, every ID of the namespace is the same outside of it.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use super::problems;
use crate::linux::user_name::user_name;
use crate::steps::StepError;

/// The programs that map ranges of IDs.
const MAP_USERS: &str = "newuidmap";
const MAP_GROUPS: &str = "newgidmap";

/// A map of IDs in the namespace to IDs outside of it, in the format of `/proc/PID/uid_map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdMap(Vec<Range>);

/// IDs in the namespace from `inside` on, IDs outside from `outside` on, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    inside: u64,
    outside: u64,
    count: u64,
}

/// The users and groups of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) users: IdMap,
    pub(super) groups: IdMap,
    source: Source,
}

/// Where the IDs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// This user is root.
    Root,
    Ranges,
    /// There is a single ID, for the reason given.
    Single(NoRange),
}

/// The reason for which a user has a single ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRange {
    /// `/etc/subuid` or `/etc/subgid` has no range.
    File,
    /// `newuidmap` or `newgidmap` is not installed.
    Program,
    /// This process is root of a user namespace with a single ID.
    Namespace,
}

impl Ids {
    /// The IDs that this user may map.
    pub(super) fn available() -> Result<Self, StepError> {
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        if user.is_root() {
            let map = |path: &str| -> Result<IdMap, StepError> {
                let text = fs::read_to_string(path).map_err(StepError::io("read", path))?;
                Ok(identity(&text))
            };
            let (users, groups) = (map("/proc/self/uid_map")?, map("/proc/self/gid_map")?);
            if users.len() == 1 || groups.len() == 1 {
                return Ok(Self::of_one(user.as_raw(), group.as_raw(), NoRange::Namespace));
            }
            return Ok(Self { users, groups, source: Source::Root });
        }
        let name = user_name(user.as_raw()).unwrap_or_default();
        let map = |path: &str, own: u32| {
            let text = fs::read_to_string(path).unwrap_or_default();
            with_range(&text, &[&name, &user.as_raw().to_string()], own)
        };
        let users = map("/etc/subuid", user.as_raw());
        let groups = map("/etc/subgid", group.as_raw());
        let has_programs =
            [MAP_USERS, MAP_GROUPS].iter().all(|program| problems::find(program).is_some());
        Ok(match (users, groups) {
            (Some(users), Some(groups)) if has_programs => {
                Self { users, groups, source: Source::Ranges }
            }
            (users, groups) => {
                let has_ranges = users.is_some() && groups.is_some();
                let reason = if has_ranges { NoRange::Program } else { NoRange::File };
                Self::of_one(user.as_raw(), group.as_raw(), reason)
            }
        })
    }

    /// Root only, which is `user` and `group` outside.
    fn of_one(user: u32, group: u32, reason: NoRange) -> Self {
        let single = |own: u32| IdMap(vec![Range { inside: 0, outside: own.into(), count: 1 }]);
        Self { users: single(user), groups: single(group), source: Source::Single(reason) }
    }

    /// The reason if there is only one ID.
    pub(super) fn single(&self) -> Option<NoRange> {
        match self.source {
            Source::Single(reason) => Some(reason),
            Source::Root | Source::Ranges => None,
        }
    }

    /// Gives these IDs to the user namespace of the process `pid`.
    pub(super) fn map(&self, pid: u32) -> Result<(), StepError> {
        let maps = [("uid_map", MAP_USERS, &self.users), ("gid_map", MAP_GROUPS, &self.groups)];
        let write = |file: &str, text: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::write(&path, text).map_err(StepError::io("write", &path))
        };
        if self.single().is_some() {
            // Otherwise Linux does not let plain users map groups.
            write("setgroups", "deny")?;
        }
        for (file, program, map) in maps {
            if self.source != Source::Ranges {
                write(file, &map.text())?;
                continue;
            }
            let mut command = Command::new(program);
            command.arg(pid.to_string()).args(map.text().split_ascii_whitespace());
            let output = command.stdin(Stdio::null()).output();
            let output = output.map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => StepError::Missing { program, package: "uidmap" },
                _ => StepError::io("run", program)(error),
            })?;
            if !output.status.success() {
                let error = String::from_utf8_lossy(&output.stderr);
                return Err(StepError::Sandbox(format!("{program} failed: {}", error.trim())));
            }
        }
        Ok(())
    }

    /// A text that is the same for the same IDs.
    pub(super) fn identity(&self) -> String {
        format!("{}/{}", self.users.text(), self.groups.text())
    }

    /// Whether files can have the user `uid` and the group `gid`.
    pub(super) fn contain(&self, uid: u64, gid: u64) -> bool {
        self.single().is_some() || (self.users.contains(uid) && self.groups.contains(gid))
    }
}

impl NoRange {
    /// The consequence for a step.
    pub(super) fn note(self) -> &'static str {
        match self {
            Self::File => {
                "recording the owners of files: this user has no range in /etc/subuid and \
                 /etc/subgid"
            }
            Self::Program => "recording the owners of files: the package uidmap is not installed",
            Self::Namespace => "recording the owners of files: this user namespace has a single ID",
        }
    }
}

impl IdMap {
    fn text(&self) -> String {
        let line = |range: &Range| format!("{} {} {}", range.inside, range.outside, range.count);
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The number of IDs.
    fn len(&self) -> u64 {
        self.0.iter().map(|range| range.count).sum()
    }

    fn contains(&self, id: u64) -> bool {
        self.0.iter().any(|range| (range.inside..range.inside + range.count).contains(&id))
    }
}

/// The IDs of this process' own namespace, from its map `text`.
fn identity(text: &str) -> IdMap {
    let range = |line: &str| {
        let mut fields = line.split_ascii_whitespace().map(str::parse);
        let inside: u64 = fields.next()?.ok()?;
        let count = fields.nth(1)?.ok()?;
        Some(Range { inside, outside: inside, count })
    };
    IdMap(text.lines().filter_map(range).collect())
}

/// Root is the ID `own`, the IDs from 1 on are the first range in `text` of one of `names`.
fn with_range(text: &str, names: &[&str], own: u32) -> Option<IdMap> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let is_own = fields.next().is_some_and(|name| names.contains(&name));
        let (start, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (is_own && count > 0).then_some(Range { inside: 1, outside: start, count })
    };
    let rest = text.lines().find_map(range)?;
    Some(IdMap(vec![Range { inside: 0, outside: own.into(), count: 1 }, rest]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_user_is_found_by_name_or_number() {
        let text = "other:1:2\n# comment\napp:100000:65536\napp:300000:5\n";
        let map = with_range(text, &["app", "1000"], 1000).unwrap();
        assert_eq!(map.text(), "0 1000 1\n1 100000 65536");
        assert!(map.contains(0) && map.contains(65536) && !map.contains(65537));
        assert_eq!(
            with_range("1000:7:9", &["app", "1000"], 1000).unwrap().text(),
            "0 1000 1\n1 7 9"
        );
        for text in ["", "app:1", "app:x:1", "app:1:0", "application:1:1"] {
            assert_eq!(with_range(text, &["app", "1000"], 1000), None, "{text}");
        }
    }

    #[test]
    fn root_keeps_the_ids_of_its_own_namespace() {
        let map = identity("         0       1000          1\n         1     100000      65536\n");
        assert_eq!(map.text(), "0 0 1\n1 1 65536");
    }
}
