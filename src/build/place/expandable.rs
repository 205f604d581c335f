//! Symlinks into the store that can be expanded to directories.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::image_path::ImagePath;
use crate::archive::entry::parent_of;

/// A symlink into the store that leads to a folder. If another content needs the same path, it is
/// expanded to a directory with links to the folder's files.
pub(in crate::build) struct ExpandableLink {
    /// The folder on the host.
    pub(in crate::build) folder: PathBuf,
    /// The content, as an index.
    pub(in crate::build) origin: u32,
}

/// The expandable links that were placed at one path, by target.
pub(in crate::build) type LinksAt = BTreeMap<ImagePath, ExpandableLink>;

/// The expandable links of a layer.
#[derive(Default)]
pub(in crate::build) struct ExpandableLinks {
    links: BTreeMap<ImagePath, LinksAt>,
    /// The folders that links were expanded to, by path.
    expanded: BTreeMap<ImagePath, Vec<PathBuf>>,
}

impl ExpandableLinks {
    /// Adds a link from `path` to `target`.
    pub(super) fn add(&mut self, path: &[u8], target: &[u8], link: ExpandableLink) {
        self.links.entry(path.into()).or_default().insert(target.into(), link);
    }

    pub(in crate::build) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Whether there is a link at `path`.
    pub(in crate::build) fn contains(&self, path: &[u8]) -> bool {
        self.links.contains_key(path)
    }

    /// Takes out the links at `path`, which are expanded to their folders.
    pub(in crate::build) fn expand(&mut self, path: &[u8]) -> Option<(ImagePath, LinksAt)> {
        let (path, links) = self.links.remove_entry(path)?;
        let folders = links.values().map(|link| link.folder.clone());
        self.expanded.entry(path.clone()).or_default().extend(folders);
        Some((path, links))
    }

    /// Whether a link at `path` leads to a folder whose files were placed at a path above.
    pub(in crate::build) fn is_circular(&self, path: &[u8]) -> bool {
        let mut above = parent_of(path);
        while !above.is_empty() {
            let folders = self.expanded.get(above).into_iter().flatten();
            let links = self.links.get(path);
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
