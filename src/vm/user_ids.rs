//! The user IDs that own the files of a guest while it is assembled.

use crate::linux::user_name::user_name;
use crate::vm::tools::Tool;

/// Describes why this user has none, and how to get some; `None` for root and users with a range.
pub(super) fn problem() -> Option<String> {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return None;
    }
    let newuidmap = Tool { program: "newuidmap", package: "uidmap", purpose: "" };
    if newuidmap.path().is_none() {
        return Some("install the Debian package uidmap".to_owned());
    }
    let ranges = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    missing_range(&ranges, user_name(uid.as_raw()).as_deref(), uid.as_raw())
}

/// Describes how the user `user`, whose number is `uid`, gets a range, if `ranges`, the content of
/// `/etc/subuid`, has none.
fn missing_range(ranges: &str, user: Option<&str>, uid: u32) -> Option<String> {
    let owners = [user.unwrap_or_default(), &uid.to_string()];
    let owner = |line: &str| line.split(':').next().is_some_and(|owner| owners.contains(&owner));
    let has_range = ranges.lines().filter(|line| !line.is_empty()).any(owner);
    (!has_range).then(|| {
        format!(
            "/etc/subuid has no range; run as root: \
             usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {}",
            user.unwrap_or("USER")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_belongs_to_a_user_by_name_or_number() {
        for (ranges, has_range) in [
            ("app:100000:65536\n", true),
            ("other:1:2\n1000:100000:65536\n", true),
            ("other:100000:65536\n", false),
            ("", false),
        ] {
            assert_eq!(missing_range(ranges, Some("app"), 1000).is_none(), has_range, "{ranges}");
        }
        let problem = missing_range("", Some("app"), 1000).unwrap();
        assert!(problem.ends_with("--add-subgids 100000-165535 app"), "{problem}");
    }
}
