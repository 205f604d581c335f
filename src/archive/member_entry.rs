//! Entries for the members of tars.

use super::entry::{Attributes, Entry, FileContent, Kind};
use super::tar::{Member, MemberKind, SpecialKind};
use crate::image::Timestamp;

/// The permissions of symlinks, as Linux shows them. Those that a tar has mean nothing.
const SYMLINK_MODE: u32 = 0o777;
/// The most bytes of a user or group name: a field of the header has one more, for a NUL.
const OWNER_NAME_MAX: usize = 31;

impl Entry {
    /// An entry at `path` with the metadata of `member`.
    pub(crate) fn of_member(path: impl Into<Box<[u8]>>, member: &Member, kind: Kind) -> Self {
        let mode = if matches!(kind, Kind::Symlink(_)) { SYMLINK_MODE } else { member.mode };
        let attributes = Some(Box::new(Attributes::of_member(member)));
        Self { attributes, xattrs: member.xattrs.clone(), ..Self::new(path, mode, kind) }
    }
}

impl Kind {
    /// The kind of `member`, which has this content if it is a file, and this target if it is a
    /// hard link.
    pub(crate) fn of_member(member: &Member, content: FileContent, target: Box<[u8]>) -> Self {
        match member.kind {
            MemberKind::Directory => Self::Directory,
            MemberKind::File => Self::File(content),
            MemberKind::HardLink => Self::HardLink(target),
            MemberKind::Symlink => Self::Symlink(member.link.as_slice().into()),
            MemberKind::Special(SpecialKind::Fifo) => Self::Fifo,
            MemberKind::Special(SpecialKind::CharDevice(major, minor)) => {
                Self::CharDevice(major, minor)
            }
            MemberKind::Special(SpecialKind::BlockDevice(major, minor)) => {
                Self::BlockDevice(major, minor)
            }
        }
    }
}

impl FileContent {
    /// The content of `member` if only its size matters, because it is written elsewhere.
    pub(crate) fn sized(member: &Member) -> Self {
        Self::Part { tar: 0, offset: 0, size: member.size }
    }
}

impl Attributes {
    /// Those of `member`. A user or group name that does not fit into a header is left out: half of
    /// it could be another user's name.
    pub(crate) fn of_member(member: &Member) -> Self {
        let name = |name: &[u8]| {
            let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= OWNER_NAME_MAX);
            name.unwrap_or_default().to_owned()
        };
        Self {
            uid: member.uid,
            gid: member.gid,
            uname: name(&member.uname),
            gname: name(&member.gname),
            mtime: Timestamp::of_file(member.mtime),
        }
    }
}
