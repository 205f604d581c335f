//! The metadata of files with several names in a layer.
//!
//! An engine creates the file for its first entry, and a hard link for each further one. It applies
//! the owner, mode, time and extended attributes of every entry to the path that it has just
//! created (`createTarFile` of Docker, containerd and Podman). The names share one file, so the
//! last entry counts for all of them.

use std::collections::BTreeMap;

use super::entry::Xattrs;
use super::tar::{CAPABILITIES, Member, MemberKind};

/// The metadata that hard links give to files, by file.
#[derive(Debug)]
pub(crate) struct LinkedFiles<K>(BTreeMap<K, Metadata>);

/// Everything that an entry sets besides the content.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) mode: u32,
    uid: u64,
    gid: u64,
    uname: Vec<u8>,
    gname: Vec<u8>,
    mtime: i64,
    pub(crate) xattrs: Xattrs,
}

impl<K> Default for LinkedFiles<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> LinkedFiles<K> {
    /// Adds `link`, a hard link to `file`.
    pub(crate) fn add(&mut self, file: K, link: &Member) {
        let mut xattrs = self.0.remove(&file).map(|earlier| earlier.xattrs).unwrap_or_default();
        add_xattrs(&mut xattrs, &link.xattrs);
        let Member { mode, uid, gid, mtime, .. } = *link;
        let (uname, gname) = (link.uname.clone(), link.gname.clone());
        self.0.insert(file, Metadata { mode, uid, gid, uname, gname, mtime, xattrs });
    }

    /// The metadata that hard links give to `file`; `None` if there are none.
    pub(crate) fn get(&self, file: &K) -> Option<&Metadata> {
        self.0.get(file)
    }

    /// Gives `entry`, the first entry of `file`, the metadata that the file has in the end.
    pub(super) fn apply(&self, file: &K, entry: &mut Member) {
        let Some(last) = self.get(file) else { return };
        (entry.uid, entry.gid) = (last.uid, last.gid);
        (entry.uname, entry.gname) = (last.uname.clone(), last.gname.clone());
        add_xattrs(&mut entry.xattrs, &last.xattrs);
        // Docker sets neither through a hard link to a symlink.
        if entry.kind != MemberKind::Symlink {
            (entry.mode, entry.mtime) = (last.mode, last.mtime);
        }
    }
}

/// Sets `xattrs` of a later entry. Others stay, but Linux removes file capabilities if the owner is
/// set.
fn add_xattrs(to: &mut Xattrs, xattrs: &Xattrs) {
    to.remove(CAPABILITIES);
    to.extend(xattrs.clone());
}
