//! The entries of a layer as they were placed, with their origins.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::hard_links::HardLinks;
use super::origin::Origin;
use super::sorter::{Sorted, Sorter};
use crate::archive::ArchiveError;
use crate::archive::entry::{Entry, Kind, parent_of};

/// The entries that were placed. Several may have the same path.
#[derive(Default)]
pub(in crate::build) struct PlacedEntries {
    /// The sources of the entries; the last one is that of the next entry.
    origins: Vec<Origin>,
    sorter: Sorter,
    pub(in crate::build) hard_links: HardLinks,
    /// The paths that have entries, if they are remembered.
    paths: Option<PathHashes>,
}

/// Hashes of paths, of the directories above them included.
#[derive(Default)]
struct PathHashes {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl PlacedEntries {
    /// No entries yet. [`has`](Self::has) needs `remember_paths`.
    pub(super) fn new(remember_paths: bool) -> Self {
        Self { paths: remember_paths.then(PathHashes::default), ..Self::default() }
    }

    /// Begins the entries of another source.
    pub(in crate::build) fn begin(&mut self, origin: Origin) {
        self.origins.push(origin);
    }

    /// The source of the next entry, as an index.
    pub(super) fn current_origin(&self) -> u32 {
        self.origins.len().saturating_sub(1) as u32
    }

    /// The name of the source of the next entry.
    pub(super) fn current_origin_name(&self) -> &str {
        self.origins.last().map_or("", |origin| origin.name.as_str())
    }

    /// The source with this index.
    pub(in crate::build) fn origin(&self, index: u32) -> &Origin {
        &self.origins[index as usize]
    }

    /// Adds an entry of the current source.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), ArchiveError> {
        if let Kind::HardLink(target) = &entry.kind {
            self.hard_links.insert(entry.path.clone(), target.clone());
        } else if self.origins.last().is_some_and(|origin| origin.last_wins) {
            // It replaces a link that was placed before.
            self.hard_links.remove(&entry.path);
        }
        if let Some(paths) = &mut self.paths {
            paths.insert(&entry.path);
        }
        self.sorter.push(entry, self.current_origin())
    }

    /// Whether `path`, or something below it, has an entry.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.paths.as_ref().is_some_and(|paths| paths.contains(path))
    }

    /// Takes out all entries, sorted by path.
    pub(in crate::build) fn take_sorted(&mut self) -> Sorted {
        std::mem::take(&mut self.sorter).sorted()
    }

    /// Adds an entry that was taken out, with its source.
    pub(in crate::build) fn put_back(
        &mut self,
        entry: Entry,
        origin: u32,
    ) -> Result<(), ArchiveError> {
        self.sorter.push(entry, origin)
    }
}

impl PathHashes {
    fn insert(&mut self, path: &[u8]) {
        let mut path = path;
        while !path.is_empty() && self.hashes.insert(self.hasher.hash_one(path)) {
            path = parent_of(path);
        }
    }

    fn contains(&self, path: &[u8]) -> bool {
        self.hashes.contains(&self.hasher.hash_one(path))
    }
}
