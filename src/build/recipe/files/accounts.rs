//! Users and groups: `/etc/passwd`, `/etc/group` and `/etc/shadow` (passwd(5), group(5),
//! shadow(5)).

use super::owner::{ID_MAX, is_name};
use super::settings::{AccountSettings, GroupSettings, UserSettings};
use super::{Account, OwnerSpec};
use crate::linux::account_file;
use crate::text;

/// Users and groups that an image gets.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// The groups, in addition to those of the same name as a user.
    pub groups: Vec<Group>,
    /// The users.
    pub users: Vec<User>,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
    /// Its home directory.
    pub home: String,
    /// Its shell.
    pub shell: String,
    /// The names of further groups.
    pub groups: Vec<String>,
}

/// An owner by number, with the names that belong to it, if they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::build) struct Owner {
    pub(in crate::build) uid: u32,
    pub(in crate::build) gid: u32,
    pub(in crate::build) uname: String,
    pub(in crate::build) gname: String,
}

/// The contents of the files with accounts. Lines that are not understood stay as they are.
#[derive(Clone, Debug, Default)]
pub(in crate::build) struct Database {
    passwd: Vec<Line>,
    group: Vec<Line>,
    /// `None` without such a file.
    shadow: Option<Vec<Line>>,
}

/// The fields of a line, which are separated by colons.
type Line = Vec<String>;

/// The users and groups of images without any, as dockerTools' `fakeNss` makes them.
const PASSWD: &str = "root:x:0:0:root user:/var/empty:/bin/sh\n\
                      nobody:x:65534:65534:nobody:/var/empty:/bin/sh\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\n";
/// The shell of users without one.
const SHELL: &str = "/bin/sh";

impl Accounts {
    pub(in crate::build::recipe) fn new(settings: AccountSettings) -> Result<Self, String> {
        let users: Result<_, _> = Vec::from(settings.users).into_iter().map(User::new).collect();
        let groups: Result<_, _> = Vec::from(settings.groups).into_iter().map(Group::new).collect();
        let both = users.and_then(|users| Ok(Self { users, groups: groups? }));
        both.map_err(|problem: String| format!("accounts: {problem}"))
    }
}

impl User {
    fn new(settings: UserSettings) -> Result<Self, String> {
        let UserSettings { name, uid, gid, home, shell, groups } = settings;
        let name = checked(name)?;
        let home = home.unwrap_or_else(|| format!("/home/{name}"));
        let shell = shell.unwrap_or_else(|| SHELL.to_owned());
        for (key, path) in [("home", &home), ("shell", &shell)] {
            if !path.starts_with('/') || path.contains([':', '\n', '\0']) {
                let (name, path) = (text::quote(&name), text::quote(path));
                return Err(format!("{key} {path} of {name} is not an absolute path"));
            }
        }
        let groups = groups.map(Vec::from).unwrap_or_default();
        let gid = gid.unwrap_or(uid);
        check_number(&name, uid)?;
        check_number(&name, gid)?;
        Ok(Self { name, uid, gid, home, shell, groups })
    }
}

impl Group {
    fn new(settings: GroupSettings) -> Result<Self, String> {
        let GroupSettings { name, gid } = settings;
        check_number(&name, gid)?;
        Ok(Self { name: checked(name)?, gid })
    }
}

/// Checks that the user or group `name` may have this number.
fn check_number(name: &str, id: u32) -> Result<(), String> {
    match id <= ID_MAX {
        true => Ok(()),
        false => {
            let name = text::quote(name);
            Err(format!("{id} cannot be the number of {name}; the highest is {ID_MAX}"))
        }
    }
}

fn checked(name: String) -> Result<String, String> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    match is_name(&name) && !is_number {
        true => Ok(name),
        false => Err(format!("{} cannot be the name of a user or group", text::quote(&name))),
    }
}

impl Database {
    /// Reads the contents of `/etc/passwd`, `/etc/group` and `/etc/shadow`. Without any, there are
    /// root and nobody.
    pub(in crate::build) fn new(
        passwd: Option<&[u8]>,
        group: Option<&[u8]>,
        shadow: Option<&[u8]>,
    ) -> Result<Self, String> {
        Ok(Self {
            passwd: lines("passwd", passwd.unwrap_or(PASSWD.as_bytes()))?,
            group: lines("group", group.unwrap_or(GROUP.as_bytes()))?,
            shadow: shadow.map(|shadow| lines("shadow", shadow)).transpose()?,
        })
    }

    /// Adds `accounts`. A user or group that is there with the same number is replaced.
    pub(in crate::build) fn add(&mut self, accounts: &Accounts) -> Result<(), String> {
        accounts.groups.iter().try_for_each(|group| self.add_group(&group.name, group.gid))?;
        accounts.users.iter().try_for_each(|user| self.add_user(user))
    }

    fn add_group(&mut self, name: &str, gid: u32) -> Result<(), String> {
        if !is_new(&self.group, "group", name, gid)? {
            return Ok(());
        }
        self.group.push([name, "x", &gid.to_string(), ""].map(str::to_owned).to_vec());
        Ok(())
    }

    fn add_user(&mut self, user: &User) -> Result<(), String> {
        let User { name, uid, gid, home, shell, groups } = user;
        let is_new = is_new(&self.passwd, "user", name, *uid)?;
        if !self.group.iter().any(|line| number(line) == Some(*gid)) {
            self.add_group(name, *gid)?;
        }
        let (uid, gid) = (uid.to_string(), gid.to_string());
        let line = [name, "x", &uid, &gid, "", home, shell].map(str::to_owned).to_vec();
        match self.passwd.iter_mut().find(|line| !is_new && line[0] == *name) {
            Some(old) => *old = line,
            None => self.passwd.push(line),
        }
        if let Some(shadow) = &mut self.shadow
            && !shadow.iter().any(|line| line[0] == *name)
        {
            // No password fits.
            shadow.push([name, "*", "", "", "", "", "", "", ""].map(str::to_owned).to_vec());
        }
        for group in groups {
            let line = self.group.iter_mut().find(|line| line[0] == *group && line.len() > 3);
            let Some(line) = line else {
                let (name, group) = (text::quote(name), text::quote(group));
                return Err(format!("there is no group {group} for the user {name}; add it"));
            };
            let mut members: Vec<&str> =
                line[3].split(',').filter(|member| !member.is_empty()).collect();
            if !members.contains(&name.as_str()) {
                members.push(name);
                line[3] = members.join(",");
            }
        }
        Ok(())
    }

    /// The numbers of `owner`.
    pub(in crate::build) fn resolve(&self, owner: &OwnerSpec) -> Result<Owner, String> {
        let unknown = |what: &str, name: &str| {
            format!(
                "there is no {what} {} in the base image's or the contents' /etc; add it to \
                 [accounts], or use its number",
                text::quote(name)
            )
        };
        let (uid, uname, primary) = match &owner.user {
            Account::Id(uid) => (*uid, String::new(), *uid),
            Account::Name(name) => {
                let line = self.passwd.iter().find(|line| line[0] == *name);
                let found = line.and_then(|line| Some((number(line)?, line.get(3)?.parse().ok()?)));
                let (uid, gid) = found.ok_or_else(|| unknown("user", name))?;
                (uid, name.clone(), gid)
            }
        };
        let (gid, gname) = match &owner.group {
            Some(Account::Id(gid)) => (*gid, String::new()),
            Some(Account::Name(name)) => {
                let line = self.group.iter().find(|line| line[0] == *name);
                let gid = line.and_then(number).ok_or_else(|| unknown("group", name))?;
                (gid, name.clone())
            }
            None if uname.is_empty() => (primary, String::new()),
            None => {
                let line = self.group.iter().find(|line| number(line) == Some(primary));
                (primary, line.map(|line| line[0].clone()).unwrap_or_default())
            }
        };
        Ok(Owner { uid, gid, uname, gname })
    }

    /// The contents of `/etc/passwd`, `/etc/group`, and `/etc/shadow` if there is one.
    pub(in crate::build) fn files(&self) -> [Option<Vec<u8>>; 3] {
        [
            Some(to_text(&self.passwd)),
            Some(to_text(&self.group)),
            self.shadow.as_deref().map(to_text),
        ]
    }
}

/// Whether the account `name` is new in `lines`.
fn is_new(lines: &[Line], what: &str, name: &str, id: u32) -> Result<bool, String> {
    let quoted = text::quote(name);
    let same_name = lines.iter().find(|line| line[0] == name);
    if let Some(line) = same_name {
        return match number(line) {
            Some(found) if found == id => Ok(false),
            _ => Err(format!(
                "the {what} {quoted} exists with the number {}; use that number or another name",
                text::shorten(line.get(2).map_or("", String::as_str))
            )),
        };
    }
    match lines.iter().find(|line| number(line) == Some(id)) {
        Some(line) => Err(format!(
            "the {what} {quoted} has the number {id}, which {} has already; use another one",
            text::quote(&line[0])
        )),
        None => Ok(true),
    }
}

/// The number of a user or group.
fn number(line: &Line) -> Option<u32> {
    line.get(2)?.parse().ok()
}

fn lines(name: &str, text: &[u8]) -> Result<Vec<Line>, String> {
    let text = std::str::from_utf8(text).map_err(|_| format!("/etc/{name} is not UTF-8"))?;
    Ok(account_file::lines(text))
}

fn to_text(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.join(":").into_bytes(), b"\n".to_vec()]).flatten().collect()
}
