//! Paths that the recipe removes, and may make again.

use std::collections::{BTreeMap, BTreeSet};

use super::image_path::{ImagePath, is_below, prefixes};
use super::origin::{Origin, Priority};
use crate::archive::entry::{join, name_of, parent_of};
use crate::archive::layer_tree::{OPAQUE, WHITEOUT};

/// The removed paths.
#[derive(Debug, Default)]
pub(in crate::build) struct Removals(BTreeMap<ImagePath, Removal>);

/// The removal of one path.
#[derive(Debug)]
struct Removal {
    /// The entry of the recipe that removes it, as the index of its origin.
    origin: u32,
    /// The kind of file that the base has there.
    in_base: InBase,
    /// The paths that later entries make there and below, and whether they are directories.
    made: BTreeMap<ImagePath, bool>,
}

/// The kind of file that the base has at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InBase {
    Nothing,
    Directory,
    File,
}

impl Removals {
    /// Removes `path`, of which the base has `in_base`, by the entry with the origin `origin`.
    pub(super) fn remove(&mut self, path: ImagePath, origin: u32, in_base: InBase) {
        self.0.retain(|removed, _| !is_below(removed, &path));
        let removal = Removal { origin, in_base, made: BTreeMap::new() };
        let previous = self.0.insert(path.clone(), removal);
        if let (Some(previous), Some(removal)) = (previous, self.0.get_mut(&path)) {
            removal.in_base = previous.in_base;
        }
    }

    /// Registers that an entry makes `path`, a directory or not.
    pub(super) fn make(&mut self, path: &[u8], is_directory: bool) {
        for end in prefixes(path) {
            let Some(removal) = self.0.get_mut(end) else { continue };
            let folders = prefixes(path).filter(|folder| is_below(folder, end) || *folder == end);
            removal.made.extend(folders.map(|folder| (folder.into(), true)));
            removal.made.insert(path.into(), is_directory);
        }
    }

    /// The removed path that `path` is, or is below, if no later entry makes it again.
    pub(super) fn removed(&self, path: &[u8]) -> Option<&ImagePath> {
        let (removed, removal) = self.innermost(path)?;
        (!removal.made.contains_key(path)).then_some(removed)
    }

    /// Whether the base's file at `path` is removed, made again or not.
    pub(super) fn hides_base(&self, path: &[u8]) -> bool {
        self.innermost(path).is_some()
    }

    /// The removed path that `path` is, or is below, made again or not.
    pub(super) fn above(&self, path: &[u8]) -> Option<&ImagePath> {
        self.innermost(path).map(|(removed, _)| removed)
    }

    /// The removed path that what `origin`, with this index, has placed at `path` is removed with.
    pub(in crate::build) fn removed_of(
        &self,
        path: &[u8],
        index: u32,
        origin: &Origin,
    ) -> Option<&ImagePath> {
        if self.0.is_empty() {
            return None;
        }
        let is_before =
            |removal: &Removal| origin.priority < Priority::Path || index <= removal.origin;
        let mut above = prefixes(path).filter_map(|above| self.0.get_key_value(above));
        above.find(|(_, removal)| is_before(removal)).map(|(removed, _)| removed)
    }

    /// A removed path that neither the base has nor, according to `used`, anything else.
    pub(in crate::build) fn unused(&self, used: &BTreeSet<ImagePath>) -> Option<&ImagePath> {
        let is_unused = |(path, removal): &(&ImagePath, &Removal)| {
            removal.in_base == InBase::Nothing && !used.contains(*path)
        };
        self.0.iter().find(is_unused).map(|(path, _)| path)
    }

    /// The paths of the whiteouts that hide what the base has (OCI image-spec, `layer.md`). A file
    /// that is made again hides it without one. So does a directory hide a file, but a directory
    /// that is made again needs a whiteout in it.
    pub(super) fn whiteouts(&self) -> Vec<ImagePath> {
        let of_removal = |(path, removal): (&ImagePath, &Removal)| match (
            removal.in_base,
            removal.made.get(path),
        ) {
            (InBase::Nothing, _) | (_, Some(false)) | (InBase::File, Some(true)) => None,
            (InBase::Directory, Some(true)) => Some(join(path, OPAQUE)),
            (_, None) => Some(join(parent_of(path), &[WHITEOUT, name_of(path)].concat())),
        };
        self.0.iter().filter_map(of_removal).collect()
    }

    fn innermost(&self, path: &[u8]) -> Option<(&ImagePath, &Removal)> {
        if self.0.is_empty() {
            return None;
        }
        prefixes(path).filter_map(|above| self.0.get_key_value(above)).last()
    }
}
