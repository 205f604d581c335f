//! Merges placed contents into a layer: shared directories become one, other duplicates are
//! conflicts, and every parent directory gets an entry.

use std::collections::{BTreeMap, BTreeSet};

use super::BuildError;
use super::contents::{ExpandableLink, ImagePath, Placement, Placer};
use super::sorter::{Placed, Sorted};
use crate::archive::entry::{Attributes, Entry, Kind, parent_of};
use crate::archive::layer::{Layer, LayerBuilder};
use crate::archive::tree::{DirMetadata, Node};

impl Placer<'_> {
    /// Merges everything that was placed into a layer. A layer may have more entries than fit into
    /// memory, so they pass one by one.
    pub(super) fn finish(mut self, attributes: Attributes) -> Result<Layer, BuildError> {
        let mut sorted = std::mem::take(&mut self.placed).sorted();
        while self.expand_links(&sorted)? {
            sorted = std::mem::take(&mut self.placed).sorted();
        }
        let mut layer = MergedLayer {
            placer: &self,
            parents: Vec::new(),
            builder: LayerBuilder::new(attributes),
        };
        let mut previous: Option<Placed> = None;
        for placed in sorted.iter()? {
            let placed = placed?;
            match &previous {
                Some(first) if first.entry.path == placed.entry.path => {
                    self.check_mergeable(first, &placed)?;
                }
                _ => {
                    if let Some(first) = previous.replace(placed) {
                        layer.push(first.entry)?;
                    }
                }
            }
        }
        previous.map_or(Ok(()), |last| layer.push(last.entry))?;
        Ok(layer.builder.finish()?)
    }

    /// Expands links into the store that lead to a folder and whose path another content needs:
    /// places everything again, with the folder's files instead of the link. Returns whether there
    /// was such a link.
    fn expand_links(&mut self, sorted: &Sorted) -> Result<bool, BuildError> {
        let contested = self.contested_links(sorted)?;
        if contested.is_empty() {
            return Ok(false);
        }
        let expanded: BTreeMap<ImagePath, BTreeMap<ImagePath, ExpandableLink>> =
            contested.into_iter().filter_map(|path| self.expandable.remove_entry(&path)).collect();
        for placed in sorted.iter()? {
            let Placed { entry, origin, .. } = placed?;
            let links = expanded.get(&entry.path);
            let target = symlink_target(&entry);
            let is_expanded = links.zip(target).is_some_and(|(links, to)| links.contains_key(to));
            if !is_expanded {
                self.placed.push(entry, origin)?;
            }
        }
        for (path, links) in expanded {
            for ExpandableLink { folder, origin } in links.into_values() {
                self.origins.push(self.origins[origin as usize].clone());
                self.directory(&path, 0o755)?;
                self.folder(&folder, &path, Placement::Linked, &mut Vec::new())?;
            }
        }
        Ok(true)
    }

    /// The paths of expandable links where something else was placed too.
    fn contested_links(&self, sorted: &Sorted) -> Result<Vec<ImagePath>, BuildError> {
        if self.expandable.is_empty() {
            return Ok(Vec::new());
        }
        let mut targets: BTreeMap<ImagePath, BTreeSet<Option<ImagePath>>> = BTreeMap::new();
        for placed in sorted.iter()? {
            let entry = placed?.entry;
            if self.expandable.contains_key(&entry.path) {
                let target = symlink_target(&entry).cloned();
                targets.entry(entry.path).or_default().insert(target);
            }
        }
        targets.retain(|_, targets| targets.len() > 1);
        Ok(targets.into_keys().collect())
    }

    /// Checks that two entries with the same path are the same: two directories, of which the first
    /// counts, two equal symlinks, or one file that was named twice.
    fn check_mergeable(&self, first: &Placed, second: &Placed) -> Result<(), BuildError> {
        let same = match (&first.entry.kind, &second.entry.kind) {
            (Kind::Directory, Kind::Directory) => true,
            (Kind::Symlink(first), Kind::Symlink(second)) => first == second,
            (Kind::File(_), Kind::File(_)) => first.entry.source() == second.entry.source(),
            _ => false,
        };
        if same {
            return Ok(());
        }
        Err(BuildError::Conflict {
            path: first.entry.path.clone(),
            first: first.entry.kind.noun(),
            first_origin: self.origins[first.origin as usize].clone(),
            second: second.entry.kind.noun(),
            second_origin: self.origins[second.origin as usize].clone(),
            hint: "remove it from one of them",
        })
    }

    /// The base's metadata of the directory `path`, which it keeps. A layer with store paths only
    /// has the same bytes with every base, so that images can share it.
    fn base_directory(&self, path: &[u8]) -> Option<&DirMetadata> {
        match self.rules.base.get(path) {
            Some(Node::Directory(meta)) if self.rules.only_store => {
                self.rules.notices.store_parent(path, meta);
                None
            }
            Some(Node::Directory(meta)) => Some(meta),
            _ => None,
        }
    }

    /// The entry of a directory that no content describes: as in the base, else the default.
    fn directory_entry(&self, path: &[u8]) -> Entry {
        match self.base_directory(path) {
            Some(meta) => Entry {
                attributes: Some(Box::new(meta.into())),
                xattrs: meta.xattrs.as_deref().cloned().unwrap_or_default(),
                ..Entry::new(path, meta.mode, Kind::Directory)
            },
            None => Entry::new(path, DirMetadata::default().mode, Kind::Directory),
        }
    }
}

fn symlink_target(entry: &Entry) -> Option<&ImagePath> {
    match &entry.kind {
        Kind::Symlink(target) => Some(target),
        _ => None,
    }
}

/// Takes merged entries in order and adds entries for their parent directories.
struct MergedLayer<'a> {
    placer: &'a Placer<'a>,
    /// The parent directories of the last entry, outermost first. They have entries.
    parents: Vec<ImagePath>,
    builder: LayerBuilder,
}

impl MergedLayer<'_> {
    /// Adds `entry`. A layer must repeat the parent directories of its files, or engines make them
    /// up. A directory of the base keeps its owner, mode and time there; one that nothing describes
    /// is owned by root and has mode 0755.
    fn push(&mut self, mut entry: Entry) -> Result<(), BuildError> {
        let parent = parent_of(&entry.path);
        self.parents.retain(|written| is_within(parent, written));
        let written = self.parents.last().map_or(0, |written| written.len());
        let ends = written + 1..=parent.len();
        for end in ends.filter(|end| matches!(parent.get(*end), None | Some(b'/'))) {
            self.parents.push(parent[..end].into());
            self.builder.push(&self.placer.directory_entry(&parent[..end]))?;
        }
        if matches!(entry.kind, Kind::Directory) {
            self.parents.push(entry.path.clone());
            let in_base = self.placer.base_directory(&entry.path).is_some();
            if in_base && !self.placer.is_replaced(&entry.path) {
                entry = self.placer.directory_entry(&entry.path);
                if let Some(kept) = &entry.attributes {
                    self.placer.rules.notices.base_owner(&entry.path, (kept.uid, kept.gid));
                }
            }
        }
        Ok(self.builder.push(&entry)?)
    }
}

fn is_within(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
