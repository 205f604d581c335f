//! Modes of entries. The access control list of a file, if it has one, holds the permissions too: a
//! tool that sets it after the mode would undo a mode that contradicts it.

use crate::archive::entry::{Entry, Kind};
use crate::build::recipe::files::ModeRule;

/// The extended attribute with the access control list (acl(5)).
const ACCESS: &[u8] = b"system.posix_acl_access";
/// The size of the list's version, and of an entry: tag, permissions, ID (Linux
/// `include/uapi/linux/posix_acl_xattr.h`).
const VERSION: usize = 4;
const ENTRY: usize = 8;
/// The tags of entries for the owner, the owning group, the mask and others.
const USER_OBJ: u16 = 0x01;
const GROUP_OBJ: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Changes the mode of `entry` by `rule` as chmod(2) does: together with its access control list.
/// Symlinks have no mode.
pub(super) fn change(entry: &mut Entry, rule: &ModeRule) {
    if matches!(entry.kind, Kind::Symlink(_)) {
        return;
    }
    entry.mode = rule.apply(entry.mode, matches!(entry.kind, Kind::Directory));
    if let Some(list) = entry.xattrs.get_mut(ACCESS) {
        set_permissions(list, entry.mode);
    }
}

/// Sets the permissions of `mode` in the access control list `list`. With a mask, the permissions
/// of the group are those of the mask.
fn set_permissions(list: &mut [u8], mode: u32) {
    let entries = || list.get(VERSION..).unwrap_or_default().chunks_exact(ENTRY);
    let tag = |entry: &[u8]| u16::from_le_bytes([entry[0], entry[1]]);
    let group = if entries().any(|entry| tag(entry) == MASK) { MASK } else { GROUP_OBJ };
    let entries = list.get_mut(VERSION..).unwrap_or_default().chunks_exact_mut(ENTRY);
    for entry in entries {
        let shift = match tag(entry) {
            USER_OBJ => 6,
            tag if tag == group => 3,
            OTHER => 0,
            _ => continue,
        };
        let permissions = (mode >> shift & 0o7) as u16;
        entry[2..4].copy_from_slice(&permissions.to_le_bytes());
    }
}
