//! What was placed becomes the entries of a layer: what meets is merged or refused, and every directory
//! around it gets an entry.

use std::collections::{BTreeMap, BTreeSet};

use super::BuildError;
use super::contents::{Manner, Placed, Placer};
use crate::archive::entry::{Entry, Kind, parent_of, path_order};
use crate::archive::tree::{Meta, Node};

impl Placer<'_> {
    /// The entries of the layer, in order: what meets is merged, and every directory that something lies in
    /// has an entry.
    pub(super) fn finish(mut self) -> Result<Vec<Entry>, BuildError> {
        while self.open_links()? {}
        self.placed.sort_by(|a, b| path_order(&a.entry.path, &b.entry.path));
        let mut merged: Vec<Placed> = Vec::with_capacity(self.placed.len());
        for placed in std::mem::take(&mut self.placed) {
            match merged.last() {
                Some(last) if last.entry.path == placed.entry.path => self.meet(last, &placed)?,
                _ => merged.push(placed),
            }
        }
        Ok(self.with_parents(merged))
    }

    /// Where a link into the store and something else want the same place, and the link leads to a folder:
    /// opens that folder instead. Says whether there was such a place.
    fn open_links(&mut self) -> Result<bool, BuildError> {
        let mut wanted: BTreeMap<&[u8], BTreeSet<Option<&[u8]>>> = BTreeMap::new();
        let opening: BTreeSet<&[u8]> = self
            .placed
            .iter()
            .filter(|placed| placed.opens.is_some())
            .map(|placed| &*placed.entry.path)
            .collect();
        for placed in self.placed.iter().filter(|placed| opening.contains(&*placed.entry.path)) {
            let target = if let Kind::Symlink(target) = &placed.entry.kind { Some(&**target) } else { None };
            wanted.entry(&placed.entry.path).or_default().insert(target);
        }
        let contested: BTreeSet<Box<[u8]>> = wanted
            .into_iter()
            .filter(|(_, targets)| targets.len() > 1)
            .map(|(path, _)| path.into())
            .collect();
        let (links, rest): (Vec<Placed>, Vec<Placed>) = std::mem::take(&mut self.placed)
            .into_iter()
            .partition(|placed| placed.opens.is_some() && contested.contains(&placed.entry.path));
        self.placed = rest;
        let any = !links.is_empty();
        for link in links {
            let Some(folder) = link.opens else { continue };
            self.origins.push(self.origins[link.origin].clone());
            self.directory(&link.entry.path, 0o755)?;
            self.folder(&folder, &link.entry.path, Manner::Linked, &mut Vec::new())?;
        }
        Ok(any)
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
            from: self.origins[one.origin].clone(),
            other: other.entry.kind.noun(),
            to: self.origins[other.origin].clone(),
            mend: "remove it from one of them",
        })
    }

    /// A layer must repeat the directories around its files, or engines make them up. One that the base
    /// has keeps the base's owner, mode and time; one that nothing describes is root's, with mode 0755.
    fn with_parents(&self, placed: Vec<Placed>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(placed.len());
        let mut around: Vec<Box<[u8]>> = Vec::new();
        for Placed { mut entry, .. } in placed {
            let parent: Box<[u8]> = parent_of(&entry.path).into();
            around.retain(|known| is_within(&parent, known));
            let known = around.last().cloned().unwrap_or_default();
            let missing = parent.len() - known.len();
            if missing > 0 {
                let from = known.len() + usize::from(!known.is_empty());
                let cuts =
                    parent[from..].iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| from + at);
                for end in cuts.chain([parent.len()]) {
                    around.push(parent[..end].into());
                    entries.push(self.described(&parent[..end]));
                }
            }
            if matches!(entry.kind, Kind::Directory) {
                around.push(entry.path.clone());
                if let (Some(Node::Directory(_)), false) =
                    (self.rules.base.get(&entry.path), self.replaced(&entry.path))
                {
                    entry = self.described(&entry.path);
                }
            }
            entries.push(entry);
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
