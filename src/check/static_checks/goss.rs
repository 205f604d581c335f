//! Checks of files, users, groups and packages, as goss has them.

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512};

use super::file;
use super::packages::Packages;
use crate::archive::files::FileInfo;
use crate::archive::tar::{MemberKind, SpecialKind};
use crate::check::CheckError;
use crate::check::expectations::{Found, GossExpectations, GossProperty, GossSubject};
use crate::check::image::ImageUnderTest;
use crate::check::verdict::Checks;
use crate::text::value;

/// The reason why a test case is skipped.
pub(super) const SKIPPED: &str = "the goss file skips it";

/// The hint about a file that may be as expected in a container.
const OF_IMAGE: &str = "tests of files look at the image alone, unlike with dgoss; check a file \
                        that a container creates or changes with file of a [[service]]";

/// The lines of an account file, split into fields.
type Lines = Vec<Vec<String>>;

/// The accounts of an image; or the reason why a file with them is not read.
pub(super) struct Accounts {
    users: Result<Lines, String>,
    groups: Result<Lines, String>,
}

impl Accounts {
    /// Reads the accounts of `image` if one of `tests` asks for them.
    pub(super) fn read(
        image: &ImageUnderTest,
        tests: &[GossExpectations],
    ) -> Result<Self, CheckError> {
        if !tests.iter().any(|test| asks_for_accounts(test) && !test.skip) {
            return Ok(Self { users: Ok(Vec::new()), groups: Ok(Vec::new()) });
        }
        let (users, groups) = (image.target_of("/etc/passwd"), image.target_of("/etc/group"));
        let mut accounts = Self { users: Ok(Vec::new()), groups: Ok(Vec::new()) };
        image.for_each_found([(users.as_str(), true), (&groups, true)], |path, found| {
            let lines =
                file::content(path, found).map(|content| lines(content.unwrap_or_default()));
            if path == users {
                accounts.users = lines.clone();
            }
            if path == groups {
                accounts.groups = lines;
            }
        })?;
        Ok(accounts)
    }

    fn users(&self) -> Result<&Lines, String> {
        self.users.as_ref().map_err(Clone::clone)
    }

    fn groups(&self) -> Result<&Lines, String> {
        self.groups.as_ref().map_err(Clone::clone)
    }
}

/// Returns hints about a failed test: dgoss looks at files in a container.
pub(super) fn hints(expected: &GossExpectations, checks: &Checks) -> Vec<String> {
    let is_of_file = matches!(expected.subject, GossSubject::File(_));
    match is_of_file && !checks.mismatches().is_empty() {
        true => vec![OF_IMAGE.to_owned()],
        false => Vec::new(),
    }
}

fn asks_for_accounts(test: &GossExpectations) -> bool {
    match test.subject {
        GossSubject::User(_) | GossSubject::Group(_) => true,
        GossSubject::Package(_) => false,
        GossSubject::File(_) => {
            let by_name = |property| matches!(property, GossProperty::Owner | GossProperty::Group);
            test.properties.iter().any(|(property, _)| by_name(*property))
        }
    }
}

fn lines(content: &[u8]) -> Lines {
    let text = String::from_utf8_lossy(content);
    text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
}

/// A field of the first line in which the field with the index `key` is `value`.
fn field<'l>(lines: &'l Lines, key: usize, value: &str, index: usize) -> Option<&'l str> {
    let line = lines.iter().find(|line| line.get(key).is_some_and(|field| field == value))?;
    line.get(index).map(String::as_str)
}

/// Checks what `expected` says.
pub(super) fn check(
    image: &ImageUnderTest,
    accounts: &Accounts,
    packages: &Packages,
    expected: &GossExpectations,
) -> Result<Checks, CheckError> {
    let mut checks = Checks::default();
    let subject = Subject::find(image, accounts, packages, expected)?;
    if let Subject::NoPackages = subject {
        let found = "the image has no database of dpkg or apk";
        checks.record("installed", &expected.exists, found, false);
        return Ok(checks);
    }
    let exists = match subject.exists() {
        Ok(exists) => exists,
        Err(problem) => {
            checks.problem(problem);
            return Ok(checks);
        }
    };
    let passed = expected.exists.is_match(&Found::Bool(exists));
    checks.record(subject.existence(), &expected.exists, exists, passed);
    if passed && exists {
        for (property, matcher) in &expected.properties {
            match subject.property(*property) {
                Ok(found) => {
                    let passed = found.as_ref().is_some_and(|found| matcher.is_match(found));
                    let found = found.as_ref().map_or("nothing".to_owned(), shown);
                    checks.record(name(*property), matcher, found, passed);
                }
                Err(problem) => checks.problem(problem),
            }
        }
    }
    Ok(checks)
}

fn shown(found: &Found) -> String {
    match found {
        Found::Bool(value) => value.to_string(),
        Found::Number(value) => value.to_string(),
        Found::Text(text) => value::quote(text),
        Found::List(list) => value::format(list),
    }
}

fn name(property: GossProperty) -> &'static str {
    match property {
        GossProperty::Mode => "mode",
        GossProperty::Size => "size",
        GossProperty::Owner => "owner",
        GossProperty::Uid => "uid",
        GossProperty::Group => "group",
        GossProperty::Gid => "gid",
        GossProperty::LinkedTo => "linked-to",
        GossProperty::Filetype => "filetype",
        GossProperty::Contents => "contents",
        GossProperty::Md5 => "md5",
        GossProperty::Sha256 => "sha256",
        GossProperty::Sha512 => "sha512",
        GossProperty::Groups => "groups",
        GossProperty::Home => "home",
        GossProperty::Shell => "shell",
        GossProperty::Versions => "versions",
    }
}

/// A file, user, group or package as the image has it.
enum Subject<'a> {
    File(Option<Box<FoundFile<'a>>>),
    User(&'a Accounts, &'a str),
    Group(&'a Accounts, &'a str),
    /// The installed versions of a package.
    Package(Vec<String>),
    /// A package in an image without a database of packages.
    NoPackages,
}

/// A file, and the content to which symlinks at its path lead.
struct FoundFile<'a> {
    info: FileInfo,
    /// The path to which the symlinks lead, and the file there.
    target: (String, Option<FileInfo>),
    accounts: &'a Accounts,
}

impl<'a> Subject<'a> {
    fn find(
        image: &ImageUnderTest,
        accounts: &'a Accounts,
        packages: &Packages,
        expected: &'a GossExpectations,
    ) -> Result<Self, CheckError> {
        Ok(match &expected.subject {
            GossSubject::User(name) => Self::User(accounts, name),
            GossSubject::Group(name) => Self::Group(accounts, name),
            GossSubject::Package(name) => match packages.versions(name) {
                Some(versions) => Self::Package(versions),
                None => Self::NoPackages,
            },
            GossSubject::File(path) => {
                let target = image.target_of(path);
                let needs_content = expected.properties.iter().any(|(it, _)| it.is_of_content());
                let (mut info, mut of_target) = (None, None);
                image.for_each_found(
                    [(path.as_str(), false), (&target, needs_content)],
                    |name, found| {
                        if name == target {
                            of_target = Some(found.clone());
                        }
                        if name == path {
                            info = Some(FileInfo { content: None, ..found.clone() });
                        }
                    },
                )?;
                let target = (target, of_target);
                Self::File(info.map(|info| Box::new(FoundFile { info, target, accounts })))
            }
        })
    }

    /// Whether it exists, or why that is not known.
    fn exists(&self) -> Result<bool, String> {
        Ok(match self {
            Self::File(file) => file.is_some(),
            Self::User(accounts, name) => field(accounts.users()?, 0, name, 0).is_some(),
            Self::Group(accounts, name) => field(accounts.groups()?, 0, name, 0).is_some(),
            Self::Package(versions) => !versions.is_empty(),
            Self::NoPackages => false,
        })
    }

    /// The name of the property whose value is [`exists`](Self::exists).
    fn existence(&self) -> &'static str {
        match self {
            Self::File(_) | Self::User(..) | Self::Group(..) => "exists",
            Self::Package(_) | Self::NoPackages => "installed",
        }
    }

    /// Returns a property, or the reason why it is not known.
    fn property(&self, property: GossProperty) -> Result<Option<Found>, String> {
        Ok(match self {
            Self::File(Some(file)) => return file.property(property),
            Self::File(None) | Self::NoPackages => None,
            Self::User(accounts, name) => return user_property(accounts, name, property),
            Self::Group(accounts, name) => field(accounts.groups()?, 0, name, 2).and_then(number),
            Self::Package(versions) => Some(Found::List(versions.clone())),
        })
    }
}

impl FoundFile<'_> {
    fn property(&self, property: GossProperty) -> Result<Option<Found>, String> {
        let of_content: fn(&[u8]) -> String = match property {
            GossProperty::Contents => |content| String::from_utf8_lossy(content).into_owned(),
            GossProperty::Md5 => |content| hex::encode(Md5::digest(content)),
            GossProperty::Sha256 => |content| hex::encode(Sha256::digest(content)),
            GossProperty::Sha512 => |content| hex::encode(Sha512::digest(content)),
            _ => return self.metadata(property),
        };
        let (path, target) = &self.target;
        let content = target.as_ref().map(|target| file::content(path, target)).transpose()?;
        Ok(content.flatten().map(|content| Found::Text(of_content(content))))
    }

    fn metadata(&self, property: GossProperty) -> Result<Option<Found>, String> {
        let Self { info, accounts, .. } = self;
        let named = |lines: &Lines, id: u64| {
            field(lines, 2, &id.to_string(), 0).map(|name| Found::Text(name.to_owned()))
        };
        let text = |text: String| Some(Found::Text(text));
        Ok(match property {
            GossProperty::Mode => text(format!("{:04o}", info.mode)),
            GossProperty::Size => Some(Found::Number(info.size as f64)),
            GossProperty::Uid => Some(Found::Number(info.uid as f64)),
            GossProperty::Gid => Some(Found::Number(info.gid as f64)),
            GossProperty::Owner => named(accounts.users()?, info.uid),
            GossProperty::Group => named(accounts.groups()?, info.gid),
            GossProperty::LinkedTo if info.kind == MemberKind::Symlink => {
                text(String::from_utf8_lossy(&info.link).into_owned())
            }
            GossProperty::Filetype => text(filetype(info.kind).to_owned()),
            _ => None,
        })
    }
}

fn filetype(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::File | MemberKind::HardLink => "file",
        MemberKind::Directory => "directory",
        MemberKind::Symlink => "symlink",
        MemberKind::Special(SpecialKind::CharDevice(..)) => "character-device",
        MemberKind::Special(SpecialKind::BlockDevice(..)) => "block-device",
        MemberKind::Special(SpecialKind::Fifo) => "pipe",
    }
}

fn user_property(
    accounts: &Accounts,
    name: &str,
    property: GossProperty,
) -> Result<Option<Found>, String> {
    let users = accounts.users()?;
    let of_user = |index| field(users, 0, name, index);
    let text = |index| of_user(index).map(|text| Found::Text(text.to_owned()));
    Ok(match property {
        GossProperty::Uid => of_user(2).and_then(number),
        GossProperty::Gid => of_user(3).and_then(number),
        GossProperty::Home => text(5),
        GossProperty::Shell => text(6),
        GossProperty::Groups => {
            let Some(primary) = of_user(3) else { return Ok(None) };
            let is_in = |line: &&Vec<String>| {
                let members = line.get(3).map_or("", String::as_str);
                line.get(2).is_some_and(|gid| gid == primary)
                    || members.split(',').any(|member| member == name)
            };
            let groups = accounts.groups()?.iter().filter(is_in).filter_map(|line| line.first());
            Some(Found::List(groups.cloned().collect()))
        }
        _ => None,
    })
}

fn number(text: &str) -> Option<Found> {
    text.parse().ok().map(Found::Number)
}
