//! Assigns the files of the contents to layers.
//!
//! Contents are placed and merged as for one layer, and then split: each file goes to one of
//! several slots, each of which becomes a layer, together with the directories that lead to it.

use std::collections::HashMap;

use crate::archive::entry::{Entry, FileContent, Kind, name_of};
use crate::archive::layer::{Layer, LayerBuilder};
use crate::archive::layer_tree::WHITEOUT;
use crate::archive::{ArchiveError, Attributes};
use crate::build::BuildError;
use crate::build::merge::Merged;
use crate::build::place::{ImagePath, is_below};
use crate::build::recipe::files::{NamedLayer, Used};

/// The slots of files with hard links, by the path of the name that has the content.
type LinkedSlots = HashMap<ImagePath, usize>;

/// The slots of the files of an image. The first are those of the recipe's named layers; then
/// comes that of all other files, and then those of packages.
#[derive(Clone, Debug, Default)]
pub(in crate::build) struct Assignment {
    /// The recipe's named layers.
    named: Vec<NamedLayer>,
    /// The slots of packages, by the paths of their files.
    pub(super) owners: HashMap<ImagePath, usize>,
    /// The slots of store paths that are in layers with contents, by path in the image.
    store_paths: HashMap<ImagePath, usize>,
    /// The slot of removals, which must be in the lowest layer with contents: otherwise they would
    /// also remove what lower layers have.
    pub(super) removals: usize,
}

impl Assignment {
    /// An assignment to `named` layers, one of other files, and none for packages.
    pub(super) fn new(named: Vec<NamedLayer>) -> Self {
        let removals = named.len();
        Self { named, removals, ..Self::default() }
    }

    /// The slot of files that no layer names.
    pub(super) fn rest(&self) -> usize {
        self.named.len()
    }

    /// Moves the packages from slots of their own, which follow that of other files, to those that
    /// `slot` returns for their numbers. Files of packages without one are as if no package had
    /// them.
    pub(super) fn set_packages(&mut self, slot: impl Fn(usize) -> Option<usize>) {
        let first = self.rest() + 1;
        self.owners.retain(|_, owner| match slot(*owner - first) {
            Some(slot) => {
                *owner = slot;
                true
            }
            None => false,
        });
    }

    /// Puts the store path at `path` in the image into `slot`.
    pub(super) fn add_store_path(&mut self, path: ImagePath, slot: usize) {
        self.store_paths.insert(path, slot);
    }

    /// Whether everything has the same slot.
    pub(super) fn is_trivial(&self) -> bool {
        self.named.is_empty() && self.owners.is_empty()
    }

    /// The slot of `entry`. The patterns that match it are recorded in `used`, if that is given.
    fn slot(&self, entry: &Entry, linked: &LinkedSlots, used: Option<&mut [Used]>) -> usize {
        if name_of(&entry.path).starts_with(WHITEOUT) {
            return self.removals;
        }
        // A link must be in the layer of the file that it names.
        let path = match &entry.kind {
            Kind::HardLink(first) => first,
            _ => &entry.path,
        };
        self.store_path_slot(path)
            .or_else(|| linked.get(path).copied())
            .or_else(|| self.named_slot(path, used))
            .or_else(|| self.owners.get(path).copied())
            .unwrap_or(self.rest())
    }

    /// The slot of the first layer that names `path`. The patterns that match it are recorded in
    /// `used`, if that is given.
    fn named_slot(&self, path: &[u8], used: Option<&mut [Used]>) -> Option<usize> {
        let mut named = self.named.iter().enumerate();
        let Some(used) = used else {
            let mut unused = Used::new();
            let first = named.find(|(_, layer)| layer.paths.matches(path, &mut unused));
            return first.map(|(slot, _)| slot);
        };
        named.fold(None, |found, (slot, layer)| {
            let matches = layer.paths.matches(path, &mut used[slot]);
            found.or(matches.then_some(slot))
        })
    }

    /// The slots of files with hard links that layers name: of each, the first layer that names any
    /// of its names.
    fn linked_slots(&self, merged: &Merged<'_>, mut used: Option<&mut [Used]>) -> LinkedSlots {
        let mut slots = LinkedSlots::new();
        for (link, first) in merged.hard_links() {
            for name in [link, first] {
                if let Some(slot) = self.named_slot(name, used.as_deref_mut()) {
                    let known = slots.entry(first.clone()).or_insert(slot);
                    *known = slot.min(*known);
                }
            }
        }
        slots
    }

    fn store_path_slot(&self, path: &[u8]) -> Option<usize> {
        if self.store_paths.is_empty() {
            return None;
        }
        let ends = (1..=path.len()).filter(|end| matches!(path.get(*end), None | Some(b'/')));
        ends.map(|end| &path[..end]).find_map(|path| self.store_paths.get(path).copied())
    }

    /// Splits `merged` into a layer for each of `slots`.
    pub(super) fn split(
        &self,
        merged: &Merged<'_>,
        attributes: &Attributes,
        slots: &[usize],
    ) -> Result<Vec<Layer>, BuildError> {
        let index: HashMap<usize, usize> =
            slots.iter().enumerate().map(|(index, slot)| (*slot, index)).collect();
        let new = || (LayerBuilder::new(attributes.clone()), false);
        let mut builders: Vec<(LayerBuilder, bool)> = slots.iter().map(|_| new()).collect();
        self.each(merged, None, &mut |slot, entry| {
            // Layers that are not wanted are left out.
            let Some(index) = index.get(&slot) else { return Ok(()) };
            let (builder, has_parts) = &mut builders[*index];
            *has_parts |= matches!(entry.kind, Kind::File(FileContent::Part { .. }));
            Ok(builder.push(entry)?)
        })?;
        let finish = |(builder, has_parts): (LayerBuilder, bool)| {
            // Layers without parts of tars stay cached when a tar changes.
            let tars = if has_parts { merged.tars().to_vec() } else { Vec::new() };
            builder.with_tars(tars).finish()
        };
        Ok(builders.into_iter().map(finish).collect::<Result<_, ArchiveError>>()?)
    }

    /// Calls `emit` for every entry of `merged` with its slot, in order. Directories come with each
    /// slot that has something in them.
    pub(super) fn each(
        &self,
        merged: &Merged<'_>,
        mut used: Option<&mut [Used]>,
        emit: &mut dyn FnMut(usize, &Entry) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let mut open = OpenDirectories::default();
        let linked = self.linked_slots(merged, used.as_deref_mut());
        merged.each(&mut |entry| {
            while let Some(directory) = open.close(&entry.path) {
                let slot = self.slot(&directory.entry, &linked, used.as_deref_mut());
                open.emit(slot, emit)?;
                emit(slot, &directory.entry)?;
            }
            if matches!(entry.kind, Kind::Directory) {
                open.0.push(OpenDirectory { entry: entry.clone(), slots: Vec::new() });
                return Ok(());
            }
            let slot = self.slot(entry, &linked, used.as_deref_mut());
            open.emit(slot, emit)?;
            emit(slot, entry)
        })?;
        while let Some(directory) = open.close(b"") {
            let slot = self.slot(&directory.entry, &linked, used.as_deref_mut());
            open.emit(slot, emit)?;
            emit(slot, &directory.entry)?;
        }
        Ok(())
    }
}

/// The directories above the current entry, outermost first.
#[derive(Default)]
struct OpenDirectories(Vec<OpenDirectory>);

struct OpenDirectory {
    entry: Entry,
    /// The slots that have it.
    slots: Vec<usize>,
}

impl OpenDirectories {
    /// Closes the directories that `path` is not in, up to one that no slot has: an empty one.
    fn close(&mut self, path: &[u8]) -> Option<OpenDirectory> {
        while let Some(last) = self.0.pop_if(|last| !is_below(path, &last.entry.path)) {
            if last.slots.is_empty() {
                return Some(last);
            }
        }
        None
    }

    /// Emits the directories that `slot` does not have yet.
    fn emit(
        &mut self,
        slot: usize,
        emit: &mut dyn FnMut(usize, &Entry) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        for directory in &mut self.0 {
            if !directory.slots.contains(&slot) {
                directory.slots.push(slot);
                emit(slot, &directory.entry)?;
            }
        }
        Ok(())
    }
}
