//! Expands links to folders of the store whose path several contents need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::archive::entry::{Entry, Kind, parent_of};
use crate::build::BuildError;
use crate::build::place::{ExpandableLink, ImagePath, Placed, Placer, Sorted};

impl Placer<'_> {
    /// Expands links into the store that lead to a folder and whose path another content needs:
    /// places everything again, with the folder's files instead of the link. Returns whether there
    /// was such a link.
    pub(super) fn expand_links(&mut self, sorted: &Sorted) -> Result<bool, BuildError> {
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
            let folders = links.values().map(|link| link.folder.clone());
            self.expanded.entry(path.clone()).or_default().extend(folders);
            for ExpandableLink { folder, origin } in links.into_values() {
                self.origins.push(self.origins[origin as usize].clone());
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
            if self.expandable.contains_key(&entry.path) {
                let target = symlink_target(&entry).cloned();
                targets.entry(entry.path).or_default().insert(target);
            }
        }
        targets.retain(|path, targets| targets.len() > 1 && !self.is_circular(path));
        Ok(targets.into_keys().collect())
    }

    /// Whether an expandable link at `path` leads to a folder whose files were placed at a path
    /// above.
    fn is_circular(&self, path: &[u8]) -> bool {
        let mut above = parent_of(path);
        while !above.is_empty() {
            let folders = self.expanded.get(above).into_iter().flatten();
            let links = self.expandable.get(path);
            let leads_to = |folder: &PathBuf| {
                links.is_some_and(|links| links.values().any(|link| link.folder == *folder))
            };
            if folders.into_iter().any(leads_to) {
                return true;
            }
            above = parent_of(above);
        }
        false
    }
}

fn symlink_target(entry: &Entry) -> Option<&ImagePath> {
    match &entry.kind {
        Kind::Symlink(target) => Some(target),
        _ => None,
    }
}
