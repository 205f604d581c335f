//! A file of an image.

use super::entry::Xattrs;
use super::tar::{Member, MemberKind};

/// A file, folder or symlink of an image.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// Its kind. It is a hard link only if the file that it names does not exist.
    pub kind: MemberKind,
    /// The twelve permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Size of the content in bytes.
    pub size: u64,
    /// Seconds since 1970; negative for earlier times.
    pub mtime: i64,
    /// Its extended attributes.
    pub xattrs: Xattrs,
    /// The target of a symlink or hard link.
    pub link: Vec<u8>,
    /// The content of a regular file; `None` if it is larger than [`CONTENT_MAX`].
    pub content: Option<Vec<u8>>,
}

/// The size of the largest file whose content is read, in bytes.
pub const CONTENT_MAX: u64 = 64 << 20;

impl FileInfo {
    pub(super) fn new(member: Member, content: Option<Vec<u8>>) -> Self {
        let Member { kind, mode, uid, gid, size, mtime, xattrs, link, .. } = member;
        // Linux has no other mode of symlinks, whatever the entry says.
        let mode = if kind == MemberKind::Symlink { 0o777 } else { mode };
        Self { kind, mode, uid, gid, size, mtime, xattrs, link, content }
    }

    /// A folder for which no layer has an entry, as engines create it.
    pub(super) fn implied_folder() -> Self {
        Self {
            kind: MemberKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 0,
            xattrs: Xattrs::default(),
            link: Vec::new(),
            content: None,
        }
    }
}
