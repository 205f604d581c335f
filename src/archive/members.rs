//! The members of an image archive by name. Only headers are read to list them.

use std::collections::BTreeMap;
use std::io;

use super::blob::FileSlice;
use super::tar::{MemberKind, TarReader};

/// The most links that are followed from one name.
const LINKS_MAX: usize = 8;
/// The most members that an image archive may have. An archive of an old `docker save` has up to
/// 125 layers of three files each, and may contain several images.
const MEMBERS_MAX: usize = 100_000;

/// The files of a tar.
#[derive(Debug, Default)]
pub(crate) struct Members {
    files: BTreeMap<String, Content>,
}

#[derive(Debug)]
enum Content {
    File(FileSlice),
    Link(String),
}

impl Members {
    /// Lists the members of the tar `archive`.
    ///
    /// Names outside the archive, names that are not UTF-8, and duplicate names are errors: image
    /// writers do not use them, and readers interpret them differently.
    pub(crate) fn list(archive: &FileSlice) -> io::Result<Self> {
        let mut members = Self::default();
        let mut reader = TarReader::new(archive.clone());
        while let Some(member) = reader.next_member()? {
            let name =
                inner_name(&member.path).ok_or_else(|| unsafe_member("name", &member.path))?;
            let content = match member.kind {
                MemberKind::Directory => continue,
                MemberKind::File => Content::File(reader.get_ref().part(0, member.size)),
                MemberKind::Symlink => Content::Link(link_target(&name, &member.link)?),
                MemberKind::HardLink => Content::Link(
                    inner_name(&member.link)
                        .ok_or_else(|| unsafe_member("link target", &member.link))?,
                ),
                MemberKind::Special => {
                    let name = String::from_utf8_lossy(&member.path);
                    return Err(invalid(format!("the archive contains a device: {name:?}")));
                }
            };
            if members.files.len() == MEMBERS_MAX {
                return Err(invalid(format!(
                    "not an image archive: it has more than {MEMBERS_MAX} members"
                )));
            }
            if members.files.insert(name.clone(), content).is_some() {
                return Err(invalid(format!("the archive has two members {name:?}")));
            }
        }
        Ok(members)
    }

    /// The content of the file `name`, following symlinks within the archive.
    pub(crate) fn get(&self, name: &str) -> Option<&FileSlice> {
        let mut name = name;
        for _ in 0..LINKS_MAX {
            match self.files.get(name)? {
                Content::File(slice) => return Some(slice),
                Content::Link(target) => name = target,
            }
        }
        None
    }

    /// Whether there is a member `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }
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
    let text = String::from_utf8_lossy(text);
    invalid(format!("a member's {part} is outside the archive, or not valid: {text:?}"))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
