//! Owners, and where those of a step's changes are recorded.

use std::collections::BTreeMap;
use std::fmt;

use crate::archive::tar::{Member, MemberKind};

/// The extended attribute with the owner of a file or folder.
pub(in crate::steps) const ATTRIBUTE: &[u8] = b"user.seatrial.owner";

/// A user and a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user ID.
    pub uid: u32,
    /// The group ID.
    pub gid: u32,
}

impl Owner {
    /// User and group root.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };

    /// Reads `UID:GID`.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (uid, gid) = std::str::from_utf8(text).ok()?.split_once(':')?;
        Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// The recorded owners of the files that a step changed. By default there are none: files have
/// their real owners.
#[derive(Debug, Default)]
pub struct RecordedOwners {
    /// Whether extended attributes record the owners of files and folders.
    attributes: bool,
    /// The owners of everything else, by path.
    others: BTreeMap<Box<[u8]>, Owner>,
    /// The owners of files that may have further names.
    linked: BTreeMap<Box<[u8]>, Owner>,
}

impl RecordedOwners {
    /// Reads the file that [`supervise`](super::supervise) wrote: pairs of owner and path, each of
    /// them with a NUL behind it.
    pub(in crate::steps) fn parse(recorded: &[u8]) -> Option<Self> {
        let mut fields = recorded.split(|byte| *byte == 0);
        let mut others = BTreeMap::new();
        while let (Some(owner), Some(path)) = (fields.next(), fields.next()) {
            others.insert(path.into(), Owner::parse(owner)?);
        }
        Some(Self { attributes: true, others, linked: BTreeMap::new() })
    }

    /// The owner of `member` at `path`; `target` is that of a hard link.
    pub(in crate::steps) fn owner(
        &mut self,
        path: &[u8],
        member: &Member,
        target: &[u8],
    ) -> (u64, u64) {
        if !self.attributes {
            return (member.uid, member.gid);
        }
        let attribute = || Owner::parse(member.xattrs.get(ATTRIBUTE)?);
        let owner = match member.kind {
            MemberKind::Directory => attribute(),
            MemberKind::File => {
                let owner = attribute();
                owner.map(|owner| self.linked.insert(path.into(), owner));
                owner
            }
            MemberKind::HardLink => self.linked.get(target).or(self.others.get(path)).copied(),
            _ => self.others.get(path).copied(),
        };
        let Owner { uid, gid } = owner.unwrap_or(Owner::ROOT);
        (uid.into(), gid.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_as_they_are_written() {
        let owner = Owner { uid: 1000, gid: u32::MAX - 1 };
        assert_eq!(Owner::parse(owner.to_string().as_bytes()), Some(owner));
        for text in ["", "1", "1:", ":1", "-1:1", "1:1:1", "4294967296:0", "root:root"] {
            assert_eq!(Owner::parse(text.as_bytes()), None, "{text}");
        }
    }
}
