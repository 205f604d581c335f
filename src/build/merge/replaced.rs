//! Entries that are not in a layer because a later one replaced or removed the folder that they are
//! in.

use std::collections::BTreeSet;

use crate::archive::entry::Kind;
use crate::build::place::{ImagePath, Placed, Placer, is_below, is_within};

/// Finds replaced and removed entries among those that pass in order of their paths.
pub(super) struct Replaced<'a> {
    placer: &'a Placer<'a>,
    /// The last files of each tar at the current path and above it, outermost first.
    files: Vec<LastFile>,
    /// The removals that removed an entry.
    pub(super) used_removals: BTreeSet<ImagePath>,
}

/// The last member of a tar at a path that is not a directory.
struct LastFile {
    path: ImagePath,
    origin: u32,
    number: u64,
}

impl<'a> Replaced<'a> {
    pub(super) fn new(placer: &'a Placer<'a>) -> Self {
        Self { placer, files: Vec::new(), used_removals: BTreeSet::new() }
    }

    /// Whether `placed` was replaced together with a folder above it, or removed.
    pub(in crate::build) fn contains(&mut self, placed: &Placed) -> bool {
        let (path, index) = (&placed.entry.path, placed.origin);
        let origin = &self.placer.entries.origin(index);
        if let Some(removed) = self.placer.image.removals.removed_of(path, index, origin) {
            self.used_removals.insert(removed.clone());
            return true;
        }
        self.files.retain(|file| is_within(path, &file.path));
        let number = placed.number();
        let replaces = |file: &LastFile| {
            file.origin == index && file.number > number && is_below(path, &file.path)
        };
        if self.files.iter().any(replaces) {
            return true;
        }
        if origin.last_wins && !matches!(placed.entry.kind, Kind::Directory) {
            match self.files.last_mut() {
                Some(last) if last.origin == index && last.path == *path => last.number = number,
                _ => self.files.push(LastFile { path: path.clone(), origin: index, number }),
            }
        }
        false
    }
}
