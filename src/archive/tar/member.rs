//! Metadata of a member.

use std::io;

use super::header::Header;
use crate::archive::entry::Xattrs;
use crate::archive::invalid_data::invalid_data;

/// The most bytes of a path or link target (`PATH_MAX` of Linux).
pub(in crate::archive) const PATH_MAX: usize = 4096;

/// The extended attribute with file capabilities.
pub(crate) const CAPABILITIES: &[u8] = b"security.capability";

/// The kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// Another name for an earlier member.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A device or named pipe.
    Special(SpecialKind),
}

/// The kind of a special file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKind {
    /// A named pipe.
    Fifo,
    /// A character device, by major and minor number.
    CharDevice(u32, u32),
    /// A block device, by major and minor number.
    BlockDevice(u32, u32),
}

/// A member's metadata, with long names and PAX records applied.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name as stored.
    pub path: Vec<u8>,
    /// Its kind.
    pub kind: MemberKind,
    /// Size of its content in bytes, holes of a sparse file included.
    pub size: u64,
    /// Whether it is stored as a sparse file: its content is not the bytes behind its header.
    pub sparse: bool,
    /// The target of a link.
    pub link: Vec<u8>,
    /// The twelve permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Name of the user; empty if it has none.
    pub uname: Vec<u8>,
    /// Name of the group; empty if it has none.
    pub gname: Vec<u8>,
    /// Seconds since 1970; negative for earlier times.
    pub mtime: i64,
    /// Its extended attributes.
    pub xattrs: Xattrs,
}

impl Member {
    /// Whether it has file capabilities (capabilities(7)).
    pub fn has_capabilities(&self) -> bool {
        self.xattrs.contains_key(CAPABILITIES)
    }
}

/// The kind of a member, as Docker and containerd unpack it.
pub(super) fn kind(header: &Header) -> io::Result<MemberKind> {
    let number =
        |number| u32::try_from(number).map_err(|_| invalid_data("a device number too large"));
    let (major, minor) = (number(header.device.0), number(header.device.1));
    Ok(match header.typeflag {
        // In archives older than `ustar`, a slash at the end makes a directory.
        0 if header.name.ends_with(b"/") => MemberKind::Directory,
        0 | b'0' | b'S' => MemberKind::File,
        b'1' => MemberKind::HardLink,
        b'2' => MemberKind::Symlink,
        b'3' => MemberKind::Special(SpecialKind::CharDevice(major?, minor?)),
        b'4' => MemberKind::Special(SpecialKind::BlockDevice(major?, minor?)),
        b'6' => MemberKind::Special(SpecialKind::Fifo),
        b'5' => MemberKind::Directory,
        other => {
            let other = char::from(other).escape_default();
            let text = format!("a member of type '{other}', which container engines reject");
            return Err(invalid_data(text));
        }
    })
}
