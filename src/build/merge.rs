//! What was placed becomes the entries of a layer: what meets is merged or refused, and every directory
//! around it gets an entry.

use std::collections::{BTreeMap, BTreeSet};

use super::BuildError;
use super::contents::{Openable, Place, Placement, Placer};
use super::sorter::{Placed, Sorted};
use crate::archive::entry::{Attributes, Entry, Kind, parent_of};
use crate::archive::layer::{Layer, LayerBuilder};
use crate::archive::tree::{DirMetadata, Node};

impl Placer<'_> {
    /// The layer: what meets is merged, and every directory that something lies in has an entry. A layer may
    /// have more entries than fit into memory, so they pass one by one.
    pub(super) fn finish(mut self, attributes: Attributes) -> Result<Layer, BuildError> {
        let mut sorted = std::mem::take(&mut self.placed).sorted();
        while self.open_links(&sorted)? {
            sorted = std::mem::take(&mut self.placed).sorted();
        }
        let mut merged =
            Merged { placer: &self, around: Vec::new(), layer: LayerBuilder::new(attributes) };
        let mut last: Option<Placed> = None;
        for placed in sorted.iter()? {
            let placed = placed?;
            match &last {
                Some(one) if one.entry.path == placed.entry.path => self.meet(one, &placed)?,
                _ => {
                    if let Some(one) = last.replace(placed) {
                        merged.push(one.entry)?;
                    }
                }
            }
        }
        last.map_or(Ok(()), |one| merged.push(one.entry))?;
        Ok(merged.layer.finish()?)
    }

    /// Where a link into the store and something else want the same place, and the link leads to a folder:
    /// opens that folder instead, and places everything anew. Says whether there was such a place.
    fn open_links(&mut self, sorted: &Sorted) -> Result<bool, BuildError> {
        let target = |entry: &Entry| match &entry.kind {
            Kind::Symlink(target) => Some(target.clone()),
            _ => None,
        };
        if self.openable.is_empty() {
            return Ok(false);
        }
        let mut wanted: BTreeMap<Place, BTreeSet<Option<Place>>> = BTreeMap::new();
        for placed in sorted.iter()? {
            let entry = placed?.entry;
            if self.openable.contains_key(&entry.path) {
                let target = target(&entry);
                wanted.entry(entry.path).or_default().insert(target);
            }
        }
        wanted.retain(|_, targets| targets.len() > 1);
        if wanted.is_empty() {
            return Ok(false);
        }
        let opened: BTreeMap<Place, BTreeMap<Place, Openable>> =
            wanted.into_keys().filter_map(|path| self.openable.remove_entry(&path)).collect();
        for placed in sorted.iter()? {
            let Placed { entry, origin, .. } = placed?;
            let links = opened.get(&entry.path);
            if !target(&entry)
                .is_some_and(|target| links.is_some_and(|links| links.contains_key(&target)))
            {
                self.placed.push(entry, origin)?;
            }
        }
        for (path, links) in opened {
            for Openable { folder, origin } in links.into_values() {
                self.origins.push(self.origins[origin as usize].clone());
                self.directory(&path, 0o755)?;
                self.folder(&folder, &path, Placement::Linked, &mut Vec::new())?;
            }
        }
        Ok(true)
    }

    /// Two of one path: fine for two directories, of which the first counts, and for two equal links or
    /// the same file named twice.
    fn meet(&self, one: &Placed, other: &Placed) -> Result<(), BuildError> {
        let same = match (&one.entry.kind, &other.entry.kind) {
            (Kind::Directory, Kind::Directory) => true,
            (Kind::Symlink(one), Kind::Symlink(other)) => one == other,
            (Kind::File(_), Kind::File(_)) => one.entry.source() == other.entry.source(),
            _ => false,
        };
        if same {
            return Ok(());
        }
        Err(BuildError::Conflict {
            path: one.entry.path.clone(),
            one: one.entry.kind.noun(),
            from: self.origins[one.origin as usize].clone(),
            other: other.entry.kind.noun(),
            to: self.origins[other.origin as usize].clone(),
            mend: "remove it from one of them",
        })
    }

    fn described(&self, path: &[u8]) -> Entry {
        let kind = Kind::Directory;
        match self.rules.base.get(path) {
            Some(Node::Directory(meta)) => Entry {
                path: path.into(),
                mode: meta.mode,
                kind,
                attributes: Some(Box::new((*meta).into())),
            },
            _ => Entry {
                path: path.into(),
                mode: DirMetadata::default().mode,
                kind,
                attributes: None,
            },
        }
    }
}

/// Puts merged entries into a layer, with the directories around them.
struct Merged<'a> {
    placer: &'a Placer<'a>,
    /// The directories around the last entry that have theirs, outermost first.
    around: Vec<Place>,
    layer: LayerBuilder,
}

impl Merged<'_> {
    /// A layer must repeat the directories around its files, or engines make them up. One that the base
    /// has keeps the base's owner, mode and time; one that nothing describes is root's, with mode 0755.
    fn push(&mut self, mut entry: Entry) -> Result<(), BuildError> {
        let parent = parent_of(&entry.path);
        self.around.retain(|known| is_within(parent, known));
        let known = self.around.last().map_or(0, |known| known.len());
        for end in
            (known + 1..=parent.len()).filter(|end| matches!(parent.get(*end), None | Some(b'/')))
        {
            self.around.push(parent[..end].into());
            self.layer.push(&self.placer.described(&parent[..end]))?;
        }
        if matches!(entry.kind, Kind::Directory) {
            self.around.push(entry.path.clone());
            let held = matches!(self.placer.rules.base.get(&entry.path), Some(Node::Directory(_)));
            if held && !self.placer.replaced(&entry.path) {
                entry = self.placer.described(&entry.path);
            }
        }
        Ok(self.layer.push(&entry)?)
    }
}

fn is_within(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
