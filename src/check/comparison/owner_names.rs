//! The names of users and groups, in the account files of an image or a container.

use super::account_files::{AccountFile, AccountFiles, GROUPS, USERS};
use crate::check::verdict::Checks;
use crate::linux::account_file::{ID, Lines, NAME};
use crate::text::Description;

impl AccountFiles {
    /// Records whether the user called `expected` has the ID that was `found`.
    pub(super) fn record_user(&self, checks: &mut Checks, expected: &str, found: u64) {
        record(checks, ("user", USERS), &self.users, (expected, found));
    }

    /// Records whether the group called `expected` has the ID that was `found`.
    pub(super) fn record_group(&self, checks: &mut Checks, expected: &str, found: u64) {
        record(checks, ("group", GROUPS), &self.groups, (expected, found));
    }
}

/// Compares the ID that was `found` with that of the name `expected` in the account file of the
/// noun.
fn record(
    checks: &mut Checks,
    (noun, path): (&str, &str),
    file: &AccountFile,
    (expected, found): (&str, u64),
) {
    let entries = match file {
        Ok(lines) => lines.as_ref().map(entries),
        Err(unread) => return checks.problem(unread.to_string()),
    };
    let known = entries.as_deref().unwrap_or_default();
    // As in C libraries, the first line counts.
    let id = known.iter().find(|(name, _)| *name == expected).map(|(_, id)| *id);
    let name = known.iter().find(|(_, id)| *id == found).map(|(name, _)| *name);
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
            let owner = owner.then(format!("; {path} has no {noun} ")).then_quote(expected);
            (Description::quote(expected), owner)
        }
        (None, None) => (Description::quote(expected), owner.then(format!("; there is no {path}"))),
    };
    checks.record(noun, expected, found, passed);
}

/// The names and numbers in lines about accounts; others are left out.
fn entries(lines: &Lines) -> Vec<(&str, u64)> {
    let entries = lines.iter().map(|line| Some((&**line.get(NAME)?, line.get(ID)?.parse().ok()?)));
    entries.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::account_file;

    #[test]
    fn names_are_resolved_and_unknown_ones_explained() {
        let passwd = "# x\nroot:x:0:0::/:/bin/sh\ntoor:x:0:0\napp:x:7:8\nbroken:x\napp:x:9:9\n";
        let users = Ok(Some(account_file::lines(passwd)));
        let files = AccountFiles { users, ..AccountFiles::default() };
        let check = |noun: &str, expected: &str, found: u64| -> Vec<String> {
            let mut checks = Checks::default();
            match noun {
                "user" => files.record_user(&mut checks, expected, found),
                _ => files.record_group(&mut checks, expected, found),
            }
            let lines = checks.mismatches().iter();
            lines.map(|it| format!("{}: {} != {}", it.subject, it.expected, it.found)).collect()
        };
        assert_eq!(check("user", "app", 7), [""; 0]);
        assert_eq!(check("user", "toor", 0), [""; 0]);
        for (noun, expected, found, mismatch) in [
            ("user", "app", 0, r#"user: "app" (ID 7) != "root" (ID 0)"#),
            ("user", "app", 5, r#"user: "app" (ID 7) != ID 5, which has no name"#),
            (
                "user",
                "broken",
                7,
                r#"user: "broken" != "app" (ID 7); /etc/passwd has no user "broken""#,
            ),
            (
                "group",
                "app",
                0,
                r#"group: "app" != ID 0, which has no name; there is no /etc/group"#,
            ),
        ] {
            assert_eq!(check(noun, expected, found), [mismatch]);
        }
    }
}
