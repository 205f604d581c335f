//! Entries for the members of a tar, and what its hard links name.

use std::collections::BTreeMap;

use super::BuildError;
use super::image_path::ImagePath;
use crate::archive::entry::{Attributes, Entry, Kind};
use crate::archive::layer_tree::normalize;
use crate::archive::tar::{Member, MemberKind};
use crate::archive::tar_file::TarFile;
use crate::image::Timestamp;

/// The targets of all hard links in `tar`, and the number of members with each path.
pub(super) fn link_targets(tar: &TarFile) -> Result<BTreeMap<ImagePath, usize>, BuildError> {
    let mut targets = BTreeMap::new();
    tar.members(|member, _| -> Result<(), BuildError> {
        if member.kind == MemberKind::HardLink {
            targets.extend(normalize(&member.link).map(|target| (target, 0)));
        }
        Ok(())
    })?;
    if !targets.is_empty() {
        tar.members(|member, _| -> Result<(), BuildError> {
            let path = normalize(&member.path);
            // A link to itself, as GNU tar writes for a file that it is to pack twice.
            let is_itself = member.kind == MemberKind::HardLink && normalize(&member.link) == path;
            let path = path.filter(|_| !is_itself);
            if let Some(count) = path.and_then(|path| targets.get_mut(&path)) {
                *count += 1;
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
    let seconds = i64::try_from(member.mtime).ok();
    let mtime = seconds.and_then(|seconds| Timestamp::from_seconds(seconds).ok());
    Attributes {
        uid: member.uid,
        gid: member.gid,
        uname: name(&member.uname),
        gname: name(&member.gname),
        mtime: mtime.unwrap_or(Timestamp::DEFAULT),
    }
}
