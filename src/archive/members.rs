//! The members of an image archive by name: read once, header by header, without their content.

use std::collections::BTreeMap;
use std::io;

use super::blob::Slice;
use super::tar::{MemberKind, TarReader};

/// How many symlinks a name may lead through.
const LINKS_MAX: usize = 8;
/// How many members an image archive may have. 125 layers of three files each are an old `docker save`;
/// several images may share one.
const MEMBERS_MAX: usize = 100_000;

/// Where each file of a tar lies.
#[derive(Debug, Default)]
pub(crate) struct Members {
    files: BTreeMap<String, Found>,
}

#[derive(Debug)]
enum Found {
    File(Slice),
    Link(String),
}

impl Members {
    /// Lists the members of the tar `archive`.
    ///
    /// Names that leave the archive, names that are no UTF-8 and two members of one name are refused: no
    /// image writer makes them, and readers disagree on what they mean.
    pub(crate) fn list(archive: &Slice) -> io::Result<Self> {
        let mut members = Self::default();
        let mut reader = TarReader::new(archive.clone());
        while let Some(member) = reader.next_member()? {
            let name = inner_name(&member.path).ok_or_else(|| hostile("name", &member.path))?;
            let found = match member.kind {
                MemberKind::Directory => continue,
                MemberKind::File => Found::File(reader.get_ref().part(0, member.size)),
                MemberKind::Symlink => Found::Link(link_target(&name, &member.link)?),
                MemberKind::HardLink => Found::Link(
                    inner_name(&member.link).ok_or_else(|| hostile("link target", &member.link))?,
                ),
                MemberKind::Special => return Err(hostile("device", &member.path)),
            };
            if members.files.len() == MEMBERS_MAX {
                return Err(problem(format!(
                    "more than {MEMBERS_MAX} members; this is no image archive"
                )));
            }
            if members.files.insert(name.clone(), found).is_some() {
                return Err(problem(format!("two members are called {name:?}")));
            }
        }
        Ok(members)
    }

    /// The content of the file called `name`, symlinks within the archive followed.
    pub(crate) fn get(&self, name: &str) -> Option<&Slice> {
        let mut name = name;
        for _ in 0..LINKS_MAX {
            match self.files.get(name)? {
                Found::File(slice) => return Some(slice),
                Found::Link(target) => name = target,
            }
        }
        None
    }

    /// Whether there is a member called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }
}

/// `path` as a name within the archive: relative, `.` and empty components dropped; `None` for one that
/// is absolute, climbs with `..`, or is no UTF-8.
pub(crate) fn inner_name(path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path)
        .ok()
        .filter(|text| !text.starts_with('/') && !text.contains('\0'))?;
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// Where the symlink `name` leads within the archive, as `docker save` writes repeated layers
/// (`<id>/layer.tar -> ../<other id>/layer.tar`).
fn link_target(name: &str, target: &[u8]) -> io::Result<String> {
    let text = std::str::from_utf8(target).map_err(|_| hostile("link target", target))?;
    let mut at: Vec<&str> = name.split('/').collect();
    at.pop();
    if text.starts_with('/') {
        return Err(hostile("link target", target));
    }
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(at.pop().ok_or_else(|| hostile("link target", target))?),
            part => at.push(part),
        }
    }
    Ok(at.join("/"))
}

fn hostile(what: &str, text: &[u8]) -> io::Error {
    problem(format!(
        "a member's {what} that leaves the archive or is none: {:?}",
        String::from_utf8_lossy(text)
    ))
}

fn problem(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
