//! Rules about users: the image's own, and those in `/etc/passwd` and `/etc/shadow`.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::archive::files;
use crate::archive::resolve::target;
use crate::archive::tree::Tree;
use crate::archive::{ArchiveError, Image};
use crate::linux::account_file::{self, Lines, NAME};
use crate::text;

const PASSWD: &str = "etc/passwd";
const SHADOW: &str = "etc/shadow";
const GROUP: &str = "etc/group";

/// The lines of the account files, split into fields; `None` for a file that does not exist.
#[derive(Default)]
struct Accounts {
    passwd: Option<Lines>,
    shadow: Option<Lines>,
    group: Option<Lines>,
}

pub(super) fn check(image: &Image, tree: &Tree) -> Result<Vec<Finding>, ArchiveError> {
    let accounts = Accounts::read(image, tree)?;
    let user = image.config.config.user.as_deref().unwrap_or_default();
    let findings = [
        root_user(user, &accounts),
        user_by_name(user, &accounts),
        unknown_group(user, &accounts),
        empty_password(&accounts),
        duplicate_id(&accounts),
    ];
    Ok(findings.into_iter().flatten().collect())
}

impl Accounts {
    /// Reads the files to which symlinks lead, as engines do.
    fn read(image: &Image, tree: &Tree) -> Result<Self, ArchiveError> {
        let target = |name: &str| {
            let path = target(name.as_bytes(), tree).ok()?;
            Some(String::from_utf8_lossy(&path).into_owned())
        };
        let paths = [PASSWD, SHADOW, GROUP].map(target);
        let present: Vec<&str> = paths.iter().flatten().map(String::as_str).collect();
        let found = files::find(image, tree, &present)?;
        let lines = |path: &Option<String>| {
            let content = found.get(path.as_ref()?)?.content.as_deref()?;
            let mut lines = account_file::lines(&String::from_utf8_lossy(content));
            lines.retain(|line| *line != [""] && !line[0].starts_with('#'));
            Some(lines)
        };
        let [passwd, shadow, group] = &paths;
        Ok(Self { passwd: lines(passwd), shadow: lines(shadow), group: lines(group) })
    }

    /// Whether `user`, a name or a number, has the user ID 0.
    fn is_root(&self, user: &str) -> bool {
        let named = |fields: &&Vec<String>| fields.first().is_some_and(|name| name == user);
        let id = self.passwd.iter().flatten().find(named).and_then(|fields| fields.get(2));
        let id = id.map_or(user, String::as_str);
        user.is_empty() || user == "root" || id.parse() == Ok(0_u32)
    }
}

fn root_user(user: &str, accounts: &Accounts) -> Option<Finding> {
    let name = user.split(':').next().unwrap_or_default();
    accounts.is_root(name).then(|| {
        let problem = match user.is_empty() {
            true => "the image has no User, so containers run as root".to_owned(),
            false => format!("User is {}, which is root", text::quote(user)),
        };
        Finding::note(
            "root-user",
            problem,
            "Kubernetes' restricted profile rejects the container, and root in a container needs \
             only one bug to be root on its host",
            "set User to the number of an unprivileged user",
        )
    })
}

/// Whether there is an account with this name.
fn is_known(lines: Option<&Lines>, name: &str) -> bool {
    lines.is_some_and(|lines| account_file::find(lines, NAME, name).is_some())
}

/// Describes a group of the user that engines do not find.
fn unknown_group(user: &str, accounts: &Accounts) -> Option<Finding> {
    let (_, group) = user.split_once(':')?;
    if group.is_empty() || group.parse::<u32>().is_ok() || is_known(accounts.group.as_ref(), group)
    {
        return None;
    }
    let user = text::quote(user);
    Some(Finding::warning(
        "unknown-user",
        format!("User is {user}, but /etc/group has no group {}", text::quote(group)),
        "engines cannot find the group and refuse to start the container",
        "give the group by number, or add it to /etc/group",
    ))
}

fn user_by_name(user: &str, accounts: &Accounts) -> Option<Finding> {
    let name = user.split(':').next().unwrap_or_default();
    if name.is_empty() || name == "root" || name.parse::<u32>().is_ok() {
        return None;
    }
    let has_passwd = accounts.passwd.is_some();
    let is_known = is_known(accounts.passwd.as_ref(), name);
    Some(if has_passwd && !is_known {
        Finding::warning(
            "unknown-user",
            format!("User is {}, but /etc/passwd has no such user", text::quote(user)),
            "engines cannot find the user and refuse to start the container",
            "give the user by number, or add it to /etc/passwd",
        )
    } else if has_passwd {
        Finding::note(
            "user-by-name",
            format!("User is {}", text::quote(user)),
            "Kubernetes' runAsNonRoot requires a numeric user",
            "give the user by number",
        )
    } else {
        Finding::warning(
            "user-without-passwd",
            format!("User is {}, but there is no /etc/passwd", text::quote(user)),
            "engines cannot find the user and refuse to start the container",
            "give the user by number, or add /etc/passwd",
        )
    })
}

fn empty_password(accounts: &Accounts) -> Option<Finding> {
    let entries = accounts.passwd.iter().chain(&accounts.shadow).flatten();
    let is_empty = |fields: &&Vec<String>| fields.get(1).is_some_and(String::is_empty);
    let mut names: Vec<&str> = entries.filter(is_empty).map(|fields| fields[0].as_str()).collect();
    names.dedup();
    (!names.is_empty()).then(|| {
        Finding::warning(
            "empty-password",
            format!("accounts with an empty password: {}", text::list(names)),
            "every process in a container can become them, with su for example",
            "write * or ! as the password in /etc/shadow, or x in /etc/passwd",
        )
    })
}

fn duplicate_id(accounts: &Accounts) -> Option<Finding> {
    let mut problems = Vec::new();
    for (kind, lines) in [("user", &accounts.passwd), ("group", &accounts.group)] {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for fields in lines.iter().flatten() {
            if let [name, _, id, ..] = &fields[..] {
                let names = names.entry(id).or_default();
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        let shared = names.iter().filter(|(_, names)| names.len() > 1);
        problems
            .extend(shared.map(|(id, names)| format!("{kind} ID {id} of {}", names.join(", "))));
    }
    (!problems.is_empty()).then(|| {
        Finding::note(
            "duplicate-id",
            format!("numbers that several accounts have: {}", text::list(problems)),
            "each can change the files of the others, and ls shows only the first name",
            "give each account a number of its own",
        )
    })
}
