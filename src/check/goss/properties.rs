//! Tests of files, accounts and packages: they need no program that runs.

use super::document::{File, Group, Package, User};
use super::matchers::{matcher, properties};
use crate::check::expectations::{
    GossExpectations, GossProperty, GossSubject, GossTest, PropertyExpectations,
};

pub(super) fn file(id: &str, file: File) -> Result<GossTest, String> {
    let path = file.path.unwrap_or_else(|| id.to_owned());
    let name = format!("file {path}");
    if file.skip {
        return Ok(GossTest::skipped(name));
    }
    if !path.starts_with('/') {
        return Err(format!("{name}: expected an absolute path"));
    }
    let path = cleaned(&path);
    let written = vec![
        (GossProperty::Mode, "mode", file.mode),
        (GossProperty::Size, "size", file.size),
        (GossProperty::Owner, "owner", file.owner),
        (GossProperty::Uid, "uid", file.uid),
        (GossProperty::Group, "group", file.group),
        (GossProperty::Gid, "gid", file.gid),
        (GossProperty::LinkedTo, "linked-to", file.linked_to),
        (GossProperty::Filetype, "filetype", file.filetype),
        (GossProperty::Contents, "contents", file.contents),
        (GossProperty::Contents, "contains", file.contains),
        (GossProperty::Md5, "md5", file.md5),
        (GossProperty::Sha256, "sha256", file.sha256),
        (GossProperty::Sha512, "sha512", file.sha512),
    ];
    let expected = PropertyExpectations {
        subject: GossSubject::File(path),
        exists: matcher(&format!("{name}: exists"), &file.exists, false)?,
        properties: properties(&name, written)?,
    };
    Ok(GossTest { expected: Some(GossExpectations::Properties(expected)), name })
}

/// Returns an absolute path as goss looks for it (Go, `filepath.Clean`): without `.`, `..` and
/// slashes that have no effect if there are no symlinks.
fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

pub(super) fn user(id: &str, user: User) -> Result<GossTest, String> {
    let user_name = user.username.unwrap_or_else(|| id.to_owned());
    let name = format!("user {user_name}");
    if user.skip {
        return Ok(GossTest::skipped(name));
    }
    let written = vec![
        (GossProperty::Uid, "uid", user.uid),
        (GossProperty::Gid, "gid", user.gid),
        (GossProperty::Groups, "groups", user.groups),
        (GossProperty::Home, "home", user.home),
        (GossProperty::Shell, "shell", user.shell),
    ];
    let expected = PropertyExpectations {
        subject: GossSubject::User(user_name),
        exists: matcher(&format!("{name}: exists"), &user.exists, false)?,
        properties: properties(&name, written)?,
    };
    Ok(GossTest { expected: Some(GossExpectations::Properties(expected)), name })
}

pub(super) fn group(id: &str, group: Group) -> Result<GossTest, String> {
    let group_name = group.groupname.unwrap_or_else(|| id.to_owned());
    let name = format!("group {group_name}");
    if group.skip {
        return Ok(GossTest::skipped(name));
    }
    let expected = PropertyExpectations {
        subject: GossSubject::Group(group_name),
        exists: matcher(&format!("{name}: exists"), &group.exists, false)?,
        properties: properties(&name, vec![(GossProperty::Gid, "gid", group.gid)])?,
    };
    Ok(GossTest { expected: Some(GossExpectations::Properties(expected)), name })
}

pub(super) fn package(id: &str, package: Package) -> Result<GossTest, String> {
    let package_name = package.name.unwrap_or_else(|| id.to_owned());
    let name = format!("package {package_name}");
    if package.skip {
        return Ok(GossTest::skipped(name));
    }
    let expected = PropertyExpectations {
        subject: GossSubject::Package(package_name),
        exists: matcher(&format!("{name}: installed"), &package.installed, false)?,
        properties: properties(
            &name,
            vec![(GossProperty::Versions, "versions", package.versions)],
        )?,
    };
    Ok(GossTest { expected: Some(GossExpectations::Properties(expected)), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        // Results of filepath.Clean.
        for (written, path) in [
            ("/", "/"),
            ("//a///b/", "/a/b"),
            ("/link/", "/link"),
            ("/link/.", "/link"),
            ("/link/../x", "/x"),
            ("/../..", "/"),
            ("/a/..b/...", "/a/..b/..."),
        ] {
            assert_eq!(cleaned(written), path, "{written}");
        }
    }
}
