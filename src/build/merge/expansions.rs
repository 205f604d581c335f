//! Expands links to folders of the store whose path several contents need.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::entry::{Entry, Kind};
use crate::build::BuildError;
use crate::build::place::{ExpandableLink, ImagePath, LinksAt, Placed, Placer, Sorted};

impl Placer<'_> {
    /// Expands links into the store that lead to a folder and whose path another content needs:
    /// places everything again, with the folder's files instead of the link. Returns whether there
    /// was such a link.
    pub(super) fn expand_links(&mut self, sorted: &Sorted) -> Result<bool, BuildError> {
        let contested = self.contested_links(sorted)?;
        if contested.is_empty() {
            return Ok(false);
        }
        let expanded: BTreeMap<ImagePath, LinksAt> =
            contested.into_iter().filter_map(|path| self.expandable.expand(&path)).collect();
        for placed in sorted.iter()? {
            let Placed { entry, origin, .. } = placed?;
            let links = expanded.get(&entry.path);
            let target = symlink_target(&entry);
            let is_expanded = links.zip(target).is_some_and(|(links, to)| links.contains_key(to));
            if !is_expanded {
                self.entries.put_back(entry, origin)?;
            }
        }
        for (path, links) in expanded {
            for ExpandableLink { folder, origin } in links.into_values() {
                let origin = self.entries.origin(origin).clone();
                self.entries.begin(origin);
                self.directory(&path, 0o755)?;
                self.linked_folder(&folder, &path)?;
            }
        }
        Ok(true)
    }

    /// The paths of expandable links where something else was placed too. Links that lead to a
    /// folder which they are in by way of another link are not among them, since expanding those
    /// would not end; what else was placed there is then a conflict.
    fn contested_links(&self, sorted: &Sorted) -> Result<Vec<ImagePath>, BuildError> {
        if self.expandable.is_empty() {
            return Ok(Vec::new());
        }
        let mut targets: BTreeMap<ImagePath, BTreeSet<Option<ImagePath>>> = BTreeMap::new();
        for placed in sorted.iter()? {
            let entry = placed?.entry;
            if self.expandable.contains(&entry.path) {
                let target = symlink_target(&entry).cloned();
                targets.entry(entry.path).or_default().insert(target);
            }
        }
        targets.retain(|path, targets| targets.len() > 1 && !self.expandable.is_circular(path));
        Ok(targets.into_keys().collect())
    }
}

fn symlink_target(entry: &Entry) -> Option<&ImagePath> {
    match &entry.kind {
        Kind::Symlink(target) => Some(target),
        _ => None,
    }
}
