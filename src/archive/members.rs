//! The members of an image archive by name. Only headers are read to list them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use super::blob::FileSlice;
use super::entry::path_order;
use super::invalid_data::invalid_data;
use super::tar::{Member, MemberKind, TarReader};
use crate::text;

/// The most links that are followed from one name.
const LINKS_MAX: usize = 8;
/// The most members that an image archive may have. An archive of an old `docker save` has up to
/// 125 layers of three files each, and may contain several images.
const MEMBERS_MAX: usize = 100_000;
/// The most bytes that all names may have together: 160 for each of the most members.
const NAMES_MAX: usize = 16 << 20;

/// The members of a tar.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_name: BTreeMap<String, Content>,
    /// The bytes of all names and link targets.
    names_size: usize,
}

#[derive(Debug)]
enum Content {
    File(FileSlice),
    Link(String),
    Directory,
}

/// Top-level directories of a root file system.
const ROOT_DIRECTORIES: [&str; 12] =
    ["bin", "boot", "dev", "etc", "home", "lib", "proc", "root", "sbin", "sys", "usr", "var"];

/// A list of the members of a tar that may not be an image archive.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) members: Members,
    /// The first reason why it cannot be an image archive.
    pub(crate) problem: Option<io::Error>,
    /// The directories of a root file system that it has.
    pub(crate) root_directories: BTreeSet<&'static str>,
}

impl Listing {
    /// Lists the members of the tar `archive`.
    ///
    /// Names outside the archive, names that are not UTF-8, members below a file or link, and
    /// different members of one name are problems: image writers do not use them, and readers
    /// interpret them differently.
    pub(crate) fn read(archive: &FileSlice) -> Self {
        let mut listing = Self::default();
        let result = listing.read_members(archive).and_then(|()| listing.members.check_parents());
        if let Err(error) = result {
            listing.problem.get_or_insert(error);
        }
        listing
    }

    fn read_members(&mut self, archive: &FileSlice) -> io::Result<()> {
        let mut reader = TarReader::new(archive.clone());
        while let Some(member) = reader.next_member()? {
            let top = member.path.strip_prefix(b"./").unwrap_or(&member.path);
            let top = top.split(|b| *b == b'/').next().unwrap_or_default();
            let known = ROOT_DIRECTORIES.iter().find(|name| name.as_bytes() == top);
            self.root_directories.extend(known);
            if let Err(error) = self.members.add(&member, reader.get_ref()) {
                self.problem.get_or_insert(error);
            }
            self.members.check_limits()?;
        }
        Ok(())
    }
}

impl Members {
    /// Adds `member`; its content begins at the start of `rest`.
    fn add(&mut self, member: &Member, rest: &FileSlice) -> io::Result<()> {
        let name = inner_name(&member.path).ok_or_else(|| unsafe_member("name", &member.path))?;
        let content = match member.kind {
            MemberKind::Directory => Content::Directory,
            MemberKind::File if member.sparse => {
                return Err(invalid_data(format!(
                    "the archive contains a sparse file: {}; write it without --sparse",
                    text::quote(&name)
                )));
            }
            MemberKind::File => Content::File(rest.part(0, member.size)),
            MemberKind::Symlink => Content::Link(link_target(&name, &member.link)?),
            MemberKind::HardLink => Content::Link(
                inner_name(&member.link)
                    .ok_or_else(|| unsafe_member("link target", &member.link))?,
            ),
            MemberKind::Special(_) => {
                return Err(invalid_data(format!(
                    "the archive contains a device: {}",
                    text::quote(&name)
                )));
            }
        };
        self.names_size += name.len();
        if let Content::Link(target) = &content {
            self.names_size += target.len();
        }
        match self.by_name.entry(name) {
            Entry::Vacant(entry) => drop(entry.insert(content)),
            Entry::Occupied(entry) if is_same(entry.get(), &content)? => {}
            Entry::Occupied(entry) => {
                let name = text::quote(entry.key());
                let problem = format!("the archive has two different members {name}");
                return Err(invalid_data(problem));
            }
        }
        Ok(())
    }

    fn check_limits(&self) -> io::Result<()> {
        if self.by_name.len() > MEMBERS_MAX || self.names_size > NAMES_MAX {
            let names = NAMES_MAX >> 20;
            return Err(invalid_data(format!(
                "not an image archive: it has more than {MEMBERS_MAX} members, or more than \
                 {names} MiB of names"
            )));
        }
        Ok(())
    }

    /// Checks that no file or link is the parent of another member: readers that extract the
    /// archive follow the link, others do not.
    fn check_parents(&self) -> io::Result<()> {
        let mut names: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
        names.sort_unstable_by(|a, b| path_order(a.as_bytes(), b.as_bytes()));
        for pair in names.windows(2) {
            let [parent, name] = pair else { continue };
            let is_below = name.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'));
            if is_below && !matches!(self.by_name.get(*parent), Some(Content::Directory)) {
                let parent = text::quote(parent);
                let problem = format!("the member {parent} is not a directory, but has members");
                return Err(invalid_data(problem));
            }
        }
        Ok(())
    }

    /// The content of the file `name`, following symlinks within the archive.
    pub(crate) fn get(&self, name: &str) -> Option<&FileSlice> {
        let mut name = name;
        for _ in 0..LINKS_MAX {
            match self.by_name.get(name)? {
                Content::File(slice) => return Some(slice),
                Content::Link(target) => name = target,
                Content::Directory => return None,
            }
        }
        None
    }

    /// Whether there is a file or link `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|content| !matches!(content, Content::Directory))
    }
}

/// Whether two members of one name are the same. Some writers repeat a blob that two images share.
fn is_same(one: &Content, other: &Content) -> io::Result<bool> {
    match (one, other) {
        (Content::Directory, Content::Directory) => Ok(true),
        (Content::Link(one), Content::Link(other)) => Ok(one == other),
        (Content::File(one), Content::File(other)) => has_same_bytes(one.clone(), other.clone()),
        _ => Ok(false),
    }
}

fn has_same_bytes(mut one: FileSlice, mut other: FileSlice) -> io::Result<bool> {
    if one.len() != other.len() {
        return Ok(false);
    }
    let size = one.len().min(64 << 10) as usize;
    let (mut first, mut second) = (vec![0; size], vec![0; size]);
    while !one.is_empty() {
        let size = one.len().min(first.len() as u64) as usize;
        one.read_exact(&mut first[..size])?;
        other.read_exact(&mut second[..size])?;
        if first[..size] != second[..size] {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `path` as a name in the archive, without `.` and empty components; `None` if it is absolute,
/// contains `..`, or is not UTF-8.
pub(crate) fn inner_name(path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path)
        .ok()
        .filter(|text| !text.starts_with('/') && !text.contains('\0'))?;
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// The name in the archive that the symlink `name` points to. `docker save` writes repeated layers
/// as symlinks (`<id>/layer.tar -> ../<other id>/layer.tar`).
fn link_target(name: &str, target: &[u8]) -> io::Result<String> {
    let text = std::str::from_utf8(target).map_err(|_| unsafe_member("link target", target))?;
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    if text.starts_with('/') {
        return Err(unsafe_member("link target", target));
    }
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(|| unsafe_member("link target", target))?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn unsafe_member(part: &str, text: &[u8]) -> io::Error {
    let text = text::bytes(text);
    invalid_data(format!("a member's {part} is outside the archive, or not valid: \"{text}\""))
}
