//! The numbers of a container's user, as engines find them in its account files.

use super::account_file::{self, ID, NAME};

/// The index of the group in a line about a user, and of the members in a line about a group.
const GROUP: usize = 3;

/// The lines of `/etc/passwd` and `/etc/group`.
type Files<'l> = (&'l [Vec<String>], &'l [Vec<String>]);

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
    (passwd, group): Files<'_>,
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

/// Finds the user of a container over CRI, as a kubelet and containerd do. The group of an image's
/// `USER:GROUP` is ignored. That of a pod is a number, and replaces only the user's own group: the
/// supplementary groups of the user stay.
///
/// # Errors
/// If there is no such user: a sentence that names it.
pub(crate) fn find_over_cri(
    of_image: &str,
    of_pod: Option<&str>,
    groups: &[String],
    files: Files<'_>,
) -> Result<UserIds, String> {
    let split = |user| str::split_once(user, ':').unwrap_or((user, ""));
    let (name, group) = split(of_pod.unwrap_or_default());
    let name = if name.is_empty() { split(of_image).0 } else { name };
    let mut ids = find(name, &[], files)?;
    ids.gid = group.parse().unwrap_or(ids.gid);
    ids.groups.extend(groups.iter().filter_map(|group| group.parse::<u32>().ok()));
    Ok(ids)
}

/// The line of the account with this name or number.
fn account<'l>(lines: &'l [Vec<String>], name: &str) -> Option<&'l [String]> {
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
    const GROUP: &str =
        "root:x:0:\ncrew:x:20:mate,app\napp:x:8:\nwheel:x:30:app,root\nstaff:x:40:\n";

    fn files() -> [Vec<Vec<String>>; 2] {
        [PASSWD, GROUP].map(account_file::lines)
    }

    fn owned(groups: &[&str]) -> Vec<String> {
        groups.iter().map(ToString::to_string).collect()
    }

    fn ids(user: &str, groups: &[&str]) -> Result<(u32, u32, Vec<u32>), String> {
        let [passwd, group] = files();
        let ids = find(user, &owned(groups), (&passwd, &group))?;
        Ok((ids.uid, ids.gid, ids.groups))
    }

    /// The rules of github.com/moby/sys/user, which runc, Docker, Podman and containerd use.
    #[test]
    fn users_and_groups_are_those_of_engines() {
        for (user, groups, expected) in [
            ("", &[][..], (0, 0, vec![30])),
            ("0", &[], (0, 0, vec![30])),
            ("root", &[], (0, 0, vec![30])),
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

    /// `getImageUser` of a kubelet, and `WithUser` and `WithAdditionalGIDs` of containerd 1.7.
    #[test]
    fn over_cri_the_group_of_an_image_is_lost_and_groups_of_the_user_stay() {
        let [passwd, group] = files();
        for (of_image, of_pod, groups, expected) in [
            ("7:99", None, &[][..], (7, 8, vec![20, 30])),
            ("app:staff", None, &[], (7, 8, vec![20, 30])),
            ("7:99", Some(":40"), &["41"], (7, 40, vec![20, 30, 41])),
            ("7:99", Some("app:40"), &[], (7, 40, vec![20, 30])),
            ("app", Some("1000"), &[], (1000, 0, vec![])),
            (":40", None, &[], (0, 0, vec![30])),
            ("", None, &[], (0, 0, vec![30])),
        ] {
            let ids = find_over_cri(of_image, of_pod, &owned(groups), (&passwd, &group)).unwrap();
            assert_eq!((ids.uid, ids.gid, ids.groups), expected, "{of_image} {of_pod:?}");
        }
    }
}
