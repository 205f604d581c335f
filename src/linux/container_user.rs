//! The numbers of a container's user, as engines find them in its account files.

use super::account_file::{self, ID, Lines, NAME};

/// The index of the group in a line about a user, and of the members in a line about a group.
const GROUP: usize = 3;

/// The numbers of the user that a process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserIds {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// Finds `user`, written as for Docker `USER[:GROUP]`, and the groups that the container has
/// besides, by names or numbers, in the lines of `/etc/passwd` and `/etc/group`. Like runc and
/// Docker, this takes what consists of digits as a number, also if there is no such account, and
/// counts a number that is missing in a line as 0.
///
/// # Errors
/// If there is no such user or group: a sentence that names it.
pub(crate) fn find(
    user: &str,
    groups: &[String],
    (passwd, group): (&Lines, &Lines),
) -> Result<UserIds, String> {
    let (name, group_name) = user.split_once(':').unwrap_or((user, ""));
    // Without a user, this is the account of root.
    let line = account(passwd, if name.is_empty() { "0" } else { name });
    let uid = match line {
        Some(line) => number(line, ID),
        None if name.is_empty() => 0,
        None => name.parse().map_err(|_| unknown("passwd", "user", name))?,
    };
    let mut ids = UserIds { uid, gid: line.map_or(0, |line| number(line, GROUP)), groups: vec![] };
    let find_group = |name: &str| match account(group, name) {
        Some(line) => Ok(number(line, ID)),
        None => name.parse().map_err(|_| unknown("group", "group", name)),
    };
    if !group_name.is_empty() {
        ids.gid = find_group(group_name)?;
    } else if let Some(name) = line.and_then(|line| line.get(NAME)) {
        let is_in = |line: &&Vec<String>| {
            line.get(GROUP).is_some_and(|members| members.split(',').any(|it| it == name))
        };
        ids.groups.extend(group.iter().filter(is_in).map(|line| number(line, ID)));
    }
    for name in groups {
        ids.groups.push(find_group(name)?);
    }
    Ok(ids)
}

/// The line of the account with this name or number.
fn account<'l>(lines: &'l Lines, name: &str) -> Option<&'l [String]> {
    let key = if name.parse::<u32>().is_ok() { ID } else { NAME };
    account_file::find(lines, key, name)
}

fn number(line: &[String], index: usize) -> u32 {
    line.get(index).and_then(|field| field.parse().ok()).unwrap_or_default()
}

fn unknown(file: &str, noun: &str, name: &str) -> String {
    format!("/etc/{file} has no {noun} {}", crate::text::quote(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/:/bin/sh\napp:x:7:8\napp:x:9:9\nshort\n";
    const GROUP: &str = "root:x:0:\ncrew:x:20:mate,app\napp:x:8:\nwheel:x:30:app\nstaff:x:40:\n";

    fn ids(user: &str, groups: &[&str]) -> Result<(u32, u32, Vec<u32>), String> {
        let files = [PASSWD, GROUP].map(account_file::lines);
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let ids = find(user, &groups, (&files[0], &files[1]))?;
        Ok((ids.uid, ids.gid, ids.groups))
    }

    /// The rules of github.com/moby/sys/user, which runc, Docker, Podman and containerd use.
    #[test]
    fn users_and_groups_are_those_of_engines() {
        for (user, groups, expected) in [
            ("", &[][..], (0, 0, vec![])),
            ("app", &[], (7, 8, vec![20, 30])),
            ("7", &[], (7, 8, vec![20, 30])),
            ("app:staff", &[], (7, 40, vec![])),
            ("app:77", &["staff", "99"], (7, 77, vec![40, 99])),
            ("1000", &[], (1000, 0, vec![])),
            ("1000:1001", &[], (1000, 1001, vec![])),
            (":staff", &[], (0, 40, vec![])),
        ] {
            assert_eq!(ids(user, groups).unwrap(), expected, "{user}");
        }
        assert_eq!(ids("absent", &[]).unwrap_err(), r#"/etc/passwd has no user "absent""#);
        assert_eq!(ids("app:no", &[]).unwrap_err(), r#"/etc/group has no group "no""#);
    }
}
