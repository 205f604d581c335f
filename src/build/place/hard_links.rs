//! The hard links that were placed.

use std::collections::BTreeMap;

use super::image_path::{ImagePath, remove_below};

/// The target of each hard link, by path.
#[derive(Debug, Default)]
pub(in crate::build) struct HardLinks(BTreeMap<ImagePath, ImagePath>);

/// The most links that lead to one another.
const LINKS_MAX: usize = 40;

impl HardLinks {
    pub(super) fn insert(&mut self, path: ImagePath, target: ImagePath) {
        self.0.insert(path, target);
    }

    /// Forgets the link at `path`.
    pub(super) fn remove(&mut self, path: &[u8]) {
        self.0.remove(path);
    }

    /// Forgets the links at `path` and below.
    pub(super) fn remove_all(&mut self, path: &[u8]) {
        self.0.remove(path);
        remove_below(&mut self.0, path);
    }

    pub(in crate::build) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Follows links from `path` to a path that is not a link.
    pub(in crate::build) fn follow<'p>(&'p self, path: &'p [u8]) -> &'p [u8] {
        let mut path = path;
        for _ in 0..LINKS_MAX {
            match self.0.get(path) {
                Some(target) => path = target,
                None => break,
            }
        }
        path
    }

    /// The paths that links lead to in the end.
    pub(in crate::build) fn targets(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().map(|target| self.follow(target))
    }
}
