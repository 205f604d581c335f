//! Entries for the members of a tar, and what its hard links name.

use std::collections::BTreeMap;

use super::BuildError;
use super::image_path::{ImagePath, range_below};
use crate::archive::entry::{Attributes, Entry, Kind};
use crate::archive::layer_tree::normalize;
use crate::archive::tar::{Member, MemberKind};
use crate::archive::tar_file::TarFile;
use crate::image::Timestamp;

/// The targets of hard links in a tar, and of each how many members make it or take its place.
#[derive(Default)]
pub(super) struct LinkTargets(BTreeMap<ImagePath, usize>);

impl LinkTargets {
    /// Applies `change` to the counts for a member at `path`: that of `path`, and those of targets
    /// below it if the member is not a directory, which replaces them.
    fn change(&mut self, path: &[u8], is_directory: bool, change: impl Fn(&mut usize)) {
        if let Some(count) = self.0.get_mut(path) {
            change(count);
        }
        if !is_directory {
            range_below(&mut self.0, path).for_each(|(_, count)| change(count));
        }
    }

    /// Counts a member at `path` as passed. Returns how many follow if `path` is a target.
    pub(super) fn pass(&mut self, path: &[u8], is_directory: bool) -> Option<usize> {
        self.change(path, is_directory, |count| *count = count.saturating_sub(1));
        self.0.get(path).copied()
    }
}

/// The targets of all hard links in `tar`.
pub(super) fn link_targets(tar: &TarFile) -> Result<LinkTargets, BuildError> {
    let mut targets = LinkTargets::default();
    tar.members(|member, _| -> Result<(), BuildError> {
        if member.kind == MemberKind::HardLink {
            targets.0.extend(normalize(&member.link).map(|target| (target, 0)));
        }
        Ok(())
    })?;
    if !targets.0.is_empty() {
        tar.members(|member, _| -> Result<(), BuildError> {
            let path = normalize(&member.path);
            // A link to itself, as GNU tar writes for a file that it is to pack twice.
            let is_itself = member.kind == MemberKind::HardLink && normalize(&member.link) == path;
            if let Some(path) = path.filter(|_| !is_itself) {
                let is_directory = member.kind == MemberKind::Directory;
                targets.change(&path, is_directory, |count| *count += 1);
            }
            Ok(())
        })?;
    }
    Ok(targets)
}

/// The entry of `member` at `path`.
pub(super) fn entry(member: &Member, path: &[u8], kind: Kind) -> Entry {
    Entry {
        path: path.into(),
        mode: if matches!(kind, Kind::Symlink(_)) { 0o777 } else { member.mode },
        kind,
        attributes: Some(Box::new(attributes(member))),
        xattrs: member.xattrs.clone(),
    }
}

pub(super) fn attributes(member: &Member) -> Attributes {
    let name = |name: &[u8]| {
        let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= 31);
        name.unwrap_or_default().to_owned()
    };
    Attributes {
        uid: member.uid,
        gid: member.gid,
        uname: name(&member.uname),
        gname: name(&member.gname),
        mtime: Timestamp::of_file(member.mtime),
    }
}
