//! The targets of the hard links of a tar.

use std::collections::BTreeMap;

use super::image_path::{ImagePath, prefixes, range_below};
use crate::archive::entry::parent_of;
use crate::archive::layer_tree::normalize;
use crate::archive::tar::MemberKind;
use crate::archive::tar_file::TarFile;
use crate::build::BuildError;

/// The targets of hard links in a tar, and the members that make them or take their place.
#[derive(Default)]
pub(super) struct LinkTargets {
    /// The targets, and how many members have the path of each.
    members: BTreeMap<ImagePath, usize>,
    /// The paths above targets at which there are members that are not directories, which replace
    /// what is below, and how many there are.
    files_above: BTreeMap<ImagePath, usize>,
}

impl LinkTargets {
    /// Counts a member at `path`.
    fn add(&mut self, path: &[u8], is_directory: bool) {
        if let Some(count) = self.members.get_mut(path) {
            *count += 1;
        }
        if !is_directory && range_below(&mut self.members, path).next().is_some() {
            *self.files_above.entry(path.into()).or_default() += 1;
        }
    }

    /// Counts a member at `path` as passed. Returns how many follow if `path` is a target.
    pub(super) fn pass(&mut self, path: &[u8], is_directory: bool) -> Option<usize> {
        if let Some(count) = self.files_above.get_mut(path).filter(|_| !is_directory) {
            *count = count.saturating_sub(1);
        }
        let count = self.members.get_mut(path)?;
        *count = count.saturating_sub(1);
        if self.files_above.is_empty() {
            return Some(*count);
        }
        let above = prefixes(parent_of(path)).filter_map(|above| self.files_above.get(above));
        Some(*count + above.sum::<usize>())
    }
}

/// The targets of all hard links in `tar`.
pub(super) fn link_targets(tar: &TarFile) -> Result<LinkTargets, BuildError> {
    let mut targets = LinkTargets::default();
    tar.members(|member, _| -> Result<(), BuildError> {
        if member.kind == MemberKind::HardLink {
            targets.members.extend(normalize(&member.link).map(|target| (target, 0)));
        }
        Ok(())
    })?;
    if !targets.members.is_empty() {
        tar.members(|member, _| -> Result<(), BuildError> {
            let path = normalize(&member.path);
            // A link to itself, as GNU tar writes for a file that it is to pack twice.
            let is_itself = member.kind == MemberKind::HardLink && normalize(&member.link) == path;
            if let Some(path) = path.filter(|_| !is_itself) {
                targets.add(&path, member.kind == MemberKind::Directory);
            }
            Ok(())
        })?;
    }
    Ok(targets)
}
