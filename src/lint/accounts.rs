//! Rules about users: the image's own, and those in `/etc/passwd` and `/etc/shadow`.

use std::collections::BTreeMap;

use super::contents::Contents;
use super::finding::Finding;
use crate::archive::files;
use crate::archive::tree::{Node, Tree};
use crate::archive::{ArchiveError, Image};
use crate::linux::account_file;
use crate::text;

const PASSWD: &str = "etc/passwd";
const SHADOW: &str = "etc/shadow";
const GROUP: &str = "etc/group";

/// The lines of the account files, split into fields.
#[derive(Default)]
struct Accounts {
    passwd: Vec<Vec<String>>,
    shadow: Vec<Vec<String>>,
    group: Vec<Vec<String>>,
}

pub(super) fn check(image: &Image, contents: &Contents) -> Result<Vec<Finding>, ArchiveError> {
    let accounts = Accounts::read(image, contents)?;
    let user = image.config.config.user.as_deref().unwrap_or_default();
    let findings = [
        root_user(user, &accounts),
        user_by_name(user, contents.has_file(PASSWD), &accounts),
        empty_password(&accounts),
        duplicate_id(&accounts),
    ];
    Ok(findings.into_iter().flatten().collect())
}

impl Accounts {
    fn read(image: &Image, contents: &Contents) -> Result<Self, ArchiveError> {
        let names = [PASSWD, SHADOW, GROUP];
        let present: Vec<&str> = names.into_iter().filter(|name| contents.has_file(name)).collect();
        // Only these paths are looked up, so a tree of them is enough.
        let mut tree = Tree::default();
        present.iter().for_each(|name| tree.insert(name.as_bytes(), Node::File));
        let mut found = files::find(image, &tree, &present)?;
        let mut lines = |name: &str| {
            let content = found.remove(name).and_then(|file| file.content).unwrap_or_default();
            let text = String::from_utf8_lossy(&content);
            let mut lines = account_file::lines(&text);
            lines.retain(|line| *line != [""] && !line[0].starts_with('#'));
            lines
        };
        Ok(Self { passwd: lines(PASSWD), shadow: lines(SHADOW), group: lines(GROUP) })
    }

    /// Whether `user`, a name or a number, has the user ID 0.
    fn is_root(&self, user: &str) -> bool {
        let named = |fields: &&Vec<String>| fields.first().is_some_and(|name| name == user);
        let id = self.passwd.iter().find(named).and_then(|fields| fields.get(2));
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

fn user_by_name(user: &str, has_passwd: bool, accounts: &Accounts) -> Option<Finding> {
    let name = user.split(':').next().unwrap_or_default();
    if name.is_empty() || name == "root" || name.parse::<u32>().is_ok() {
        return None;
    }
    let is_known = accounts.passwd.iter().any(|fields| fields.first().is_some_and(|f| f == name));
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
    let entries = accounts.passwd.iter().chain(&accounts.shadow);
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
        for fields in lines {
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
