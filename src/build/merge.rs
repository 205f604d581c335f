//! What was placed becomes the entries of a layer: what meets is merged or refused, and every directory
//! around it gets an entry.

use std::collections::{BTreeMap, BTreeSet};

use super::BuildError;
use super::contents::{Manner, Openable, Place, Placed, Placer};
use crate::archive::entry::{Entry, Kind, parent_of, path_order};
use crate::archive::tree::{Meta, Node};

impl Placer<'_> {
    /// The entries of the layer, in order: what meets is merged, and every directory that something lies in
    /// has an entry. Layers may have millions of entries, so this works in place.
    pub(super) fn finish(mut self) -> Result<Vec<Entry>, BuildError> {
        while self.open_links()? {}
        let mut placed = std::mem::take(&mut self.placed);
        let order = |a: &Placed, b: &Placed| path_order(&a.entry.path, &b.entry.path);
        if !placed.is_sorted_by(|a, b| order(a, b).is_le()) {
            placed.sort_by(order);
        }
        let mut clash = None;
        placed.dedup_by(|other, one| {
            let meet = one.entry.path == other.entry.path;
            if meet && clash.is_none() {
                clash = self.meet(one, other).err();
            }
            meet
        });
        match clash {
            Some(clash) => Err(clash),
            None => Ok(self.with_parents(placed)),
        }
    }

    /// Where a link into the store and something else want the same place, and the link leads to a folder:
    /// opens that folder instead. Says whether there was such a place.
    fn open_links(&mut self) -> Result<bool, BuildError> {
        let target = |entry: &Entry| match &entry.kind {
            Kind::Symlink(target) => Some(target.clone()),
            _ => None,
        };
        let mut wanted: BTreeMap<Place, BTreeSet<Option<Place>>> = BTreeMap::new();
        if !self.openable.is_empty() {
            for Placed { entry, .. } in &self.placed {
                if self.openable.contains_key(&entry.path) {
                    wanted.entry(entry.path.clone()).or_default().insert(target(entry));
                }
            }
        }
        wanted.retain(|_, targets| targets.len() > 1);
        for path in wanted.keys() {
            let Some(links) = self.openable.remove(path) else { continue };
            self.placed.retain(|Placed { entry, .. }| {
                entry.path != *path || target(entry).is_none_or(|target| !links.contains_key(&target))
            });
            for Openable { folder, origin } in links.into_values() {
                self.origins.push(self.origins[origin as usize].clone());
                self.directory(path, 0o755)?;
                self.folder(&folder, path, Manner::Linked, &mut Vec::new())?;
            }
        }
        Ok(!wanted.is_empty())
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
        Err(BuildError::Clash {
            path: one.entry.path.clone(),
            one: one.entry.kind.noun(),
            from: self.origins[one.origin as usize].clone(),
            other: other.entry.kind.noun(),
            to: self.origins[other.origin as usize].clone(),
            mend: "remove it from one of them",
        })
    }

    /// A layer must repeat the directories around its files, or engines make them up. One that the base
    /// has keeps the base's owner, mode and time; one that nothing describes is root's, with mode 0755.
    fn with_parents(&self, mut placed: Vec<Placed>) -> Vec<Entry> {
        let mut missing: Vec<(usize, Entry)> = Vec::new();
        let mut around: Vec<Box<[u8]>> = Vec::new();
        for (index, Placed { entry, .. }) in placed.iter_mut().enumerate() {
            let parent = parent_of(&entry.path);
            around.retain(|known| is_within(parent, known));
            let known = around.last().map_or(0, |known| known.len());
            for end in (known + 1..=parent.len()).filter(|end| matches!(parent.get(*end), None | Some(b'/')))
            {
                around.push(parent[..end].into());
                missing.push((index, self.described(&parent[..end])));
            }
            if matches!(entry.kind, Kind::Directory) {
                around.push(entry.path.clone());
                let held = matches!(self.rules.base.get(&entry.path), Some(Node::Directory(_)));
                if held && !self.replaced(&entry.path) {
                    *entry = self.described(&entry.path);
                }
            }
        }
        if missing.is_empty() {
            return placed.into_iter().map(|placed| placed.entry).collect();
        }
        let mut entries = Vec::with_capacity(placed.len() + missing.len());
        let mut missing = missing.into_iter().peekable();
        for (index, placed) in placed.into_iter().enumerate() {
            while let Some((_, parent)) = missing.next_if(|(before, _)| *before == index) {
                entries.push(parent);
            }
            entries.push(placed.entry);
        }
        entries
    }

    fn described(&self, path: &[u8]) -> Entry {
        let kind = Kind::Directory;
        match self.rules.base.get(path) {
            Some(Node::Directory(meta)) => {
                Entry { path: path.into(), mode: meta.mode, kind, attributes: Some(Box::new((*meta).into())) }
            }
            _ => Entry { path: path.into(), mode: Meta::default().mode, kind, attributes: None },
        }
    }
}

fn is_within(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
