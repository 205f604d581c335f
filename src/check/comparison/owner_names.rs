//! The names of users and groups, in the account files of an image or a container.

use crate::check::verdict::Checks;
use crate::linux::account_file::{self, ID, NAME};
use crate::text::Description;

/// The names in `/etc/passwd` and `/etc/group`.
#[derive(Debug)]
pub(in crate::check) struct OwnerNames {
    pub(in crate::check) users: Names,
    pub(in crate::check) groups: Names,
}

/// The files with the names.
pub(in crate::check) const USERS: &str = "/etc/passwd";
pub(in crate::check) const GROUPS: &str = "/etc/group";

impl Default for OwnerNames {
    fn default() -> Self {
        let names = |noun, file| Names { noun, file, entries: Ok(None) };
        Self { users: names("user", USERS), groups: names("group", GROUPS) }
    }
}

/// The names in an account file, with their IDs.
#[derive(Debug)]
pub(in crate::check) struct Names {
    /// The singular of what has the names.
    noun: &'static str,
    file: &'static str,
    /// `None` if there is no such file; or the reason why it is not read.
    entries: Result<Option<Vec<(String, u64)>>, String>,
}

impl Names {
    /// Takes the names from the content of the file, which is `None` if it is not a regular file.
    pub(in crate::check) fn read(&mut self, content: Result<Option<&[u8]>, String>) {
        self.entries = content.map(|content| content.map(entries));
    }

    /// Records whether the one called `expected` has the ID that was `found`.
    pub(in crate::check) fn record(&self, checks: &mut Checks, expected: &str, found: u64) {
        let Self { noun, file, entries } = self;
        let entries = match entries {
            Ok(entries) => entries.as_deref(),
            Err(problem) => return checks.problem(problem.clone()),
        };
        let known = entries.unwrap_or_default();
        // As in C libraries, the first line counts.
        let id = known.iter().find(|(name, _)| name == expected).map(|(_, id)| *id);
        let name = known.iter().find(|(_, id)| *id == found).map(|(name, _)| name);
        let shown = |name: &str, id: u64| Description::quote(name).then(format!(" (ID {id})"));
        let passed = id == Some(found);
        let owner = match name {
            _ if passed => shown(expected, found),
            Some(name) => shown(name, found),
            None => format!("ID {found}, which has no name").into(),
        };
        let (expected, found) = match (id, entries) {
            (Some(id), _) => (shown(expected, id), owner),
            (None, Some(_)) => {
                let owner = owner.then(format!("; {file} has no {noun} ")).then_quote(expected);
                (Description::quote(expected), owner)
            }
            (None, None) => {
                (Description::quote(expected), owner.then(format!("; there is no {file}")))
            }
        };
        checks.record(noun, expected, found, passed);
    }
}

/// The names and numbers in lines about accounts; others are left out.
fn entries(content: &[u8]) -> Vec<(String, u64)> {
    let lines = account_file::lines(&String::from_utf8_lossy(content));
    let entry = |line: Vec<String>| Some((line.get(NAME)?.clone(), line.get(ID)?.parse().ok()?));
    lines.into_iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_and_unknown_ones_explained() {
        let passwd = "# x\nroot:x:0:0::/:/bin/sh\ntoor:x:0:0\napp:x:7:8\nbroken:x\napp:x:9:9\n";
        let OwnerNames { mut users, groups } = OwnerNames::default();
        users.read(Ok(Some(passwd.as_bytes())));
        let check = |names: &Names, expected: &str, found: u64| -> Vec<String> {
            let mut checks = Checks::default();
            names.record(&mut checks, expected, found);
            let lines = checks.mismatches().iter();
            lines.map(|it| format!("{}: {} != {}", it.subject, it.expected, it.found)).collect()
        };
        assert_eq!(check(&users, "app", 7), [""; 0]);
        assert_eq!(check(&users, "toor", 0), [""; 0]);
        for (names, expected, found, mismatch) in [
            (&users, "app", 0, r#"user: "app" (ID 7) != "root" (ID 0)"#),
            (&users, "app", 5, r#"user: "app" (ID 7) != ID 5, which has no name"#),
            (
                &users,
                "broken",
                7,
                r#"user: "broken" != "app" (ID 7); /etc/passwd has no user "broken""#,
            ),
            (
                &groups,
                "app",
                0,
                r#"group: "app" != ID 0, which has no name; there is no /etc/group"#,
            ),
        ] {
            assert_eq!(check(names, expected, found), [mismatch]);
        }
    }
}
