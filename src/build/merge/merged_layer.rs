//! Takes merged entries in order, gives every parent directory an entry, and applies changes.

use std::collections::BTreeSet;

use super::hard_links::LinkEntries;
use crate::archive::entry::{Attributes, Entry, Kind, parent_of};
use crate::archive::tree::{DirMetadata, Node};
use crate::build::BuildError;
use crate::build::place::{ImagePath, Pass, Placed, Placer, Priority, is_within};

/// The destination of merged entries.
pub(super) enum Sink<'s> {
    /// A function, with the entries of hard links and of the files that they name.
    Each(&'s mut dyn FnMut(&Entry) -> Result<(), BuildError>, &'s LinkEntries),
    /// A collection of hard links and of files at these paths, which they name.
    Links(BTreeSet<ImagePath>, LinkEntries),
}

/// A directory as a noun, as in [`Kind::noun`].
const DIRECTORY: &str = "a directory";

/// An entry that is not a directory; its path is empty if there is none.
#[derive(Default)]
struct LastFile {
    path: Vec<u8>,
    noun: &'static str,
    origin: u32,
}

/// Takes merged entries in order and adds entries for their parent directories.
pub(super) struct MergedLayer<'a, 's> {
    placer: &'a Placer<'a>,
    attributes: Attributes,
    /// The parent directories of the last entry, outermost first. They have entries.
    parents: Vec<ImagePath>,
    /// The last entry that is not a directory.
    last_file: LastFile,
    changes: Pass<'a>,
    pub(super) sink: Sink<'s>,
}

impl<'a, 's> MergedLayer<'a, 's> {
    /// A layer of what `placer` has placed, whose entries go to `sink`.
    pub(super) fn new(placer: &'a Placer<'a>, attributes: Attributes, sink: Sink<'s>) -> Self {
        Self {
            placer,
            attributes,
            parents: Vec::new(),
            last_file: LastFile::default(),
            changes: placer.changes.pass(),
            sink,
        }
    }
}

impl MergedLayer<'_, '_> {
    /// Adds an entry. A layer must repeat the parent directories of its files, or engines make them
    /// up. A directory of the base keeps its owner, mode and time there; one that nothing describes
    /// is owned by root and has mode 0755.
    pub(super) fn push(&mut self, placed: Placed) -> Result<(), BuildError> {
        self.placer.check_link(&placed)?;
        let entry = &placed.entry;
        let file = &self.last_file;
        if !file.path.is_empty() && is_within(&entry.path, &file.path) {
            let directory = (DIRECTORY, placed.origin);
            return Err(self.placer.conflict(&file.path, (file.noun, file.origin), directory));
        }
        let parent = parent_of(&entry.path);
        self.parents.retain(|written| is_within(parent, written));
        let written = self.parents.last().map_or(0, |written| written.len());
        let ends = written + 1..=parent.len();
        for end in ends.filter(|end| matches!(parent.get(*end), None | Some(b'/'))) {
            self.parents.push(parent[..end].into());
            self.emit(self.placer.directory_entry(&parent[..end]))?;
        }
        if !matches!(entry.kind, Kind::Directory) {
            let LastFile { path, noun, origin } = &mut self.last_file;
            path.clear();
            path.extend_from_slice(&entry.path);
            (*noun, *origin) = (entry.kind.noun(), placed.origin);
            return self.emit(placed.entry);
        }
        self.parents.push(entry.path.clone());
        let in_base = self.placer.base_directory(&entry.path).is_some();
        if !in_base || self.placer.image.is_replaced(&entry.path) {
            return self.emit(placed.entry);
        }
        let wanted = entry.attributes.as_deref().map(|own| (own.uid, own.gid));
        let of_content = self.placer.entries.origin(placed.origin).priority == Priority::Content;
        let mut kept = self.placer.directory_entry(&entry.path);
        let owner = kept.attributes.as_ref().map(|kept| (kept.uid, kept.gid));
        let is_changed = self.changes.apply(&mut kept, &self.attributes)?;
        if let Some(owner) = owner.filter(|_| !is_changed && of_content) {
            self.placer.rules.notices.base_owner(&kept.path, owner, wanted);
        }
        self.write(kept)
    }

    /// Changes an entry and writes it.
    fn emit(&mut self, mut entry: Entry) -> Result<(), BuildError> {
        self.changes.apply(&mut entry, &self.attributes)?;
        self.write(entry)
    }

    fn write(&mut self, entry: Entry) -> Result<(), BuildError> {
        match &mut self.sink {
            Sink::Each(visit, resolved) => {
                visit(resolved.get(&entry.path).unwrap_or(&entry))?;
            }
            Sink::Links(targets, found) => {
                if matches!(entry.kind, Kind::HardLink(_)) || targets.contains(&entry.path) {
                    found.insert(entry.path.clone(), entry);
                }
            }
        }
        Ok(())
    }
}

impl Placer<'_> {
    /// The conflict of two files at `path`, given by their kinds and origins.
    pub(super) fn conflict(
        &self,
        path: &[u8],
        (first, first_origin): (&'static str, u32),
        (second, second_origin): (&'static str, u32),
    ) -> BuildError {
        let name = |origin: u32| self.entries.origin(origin).name.clone();
        let is_choice = (first == DIRECTORY) == (second == DIRECTORY);
        BuildError::Conflict {
            path: path.into(),
            first,
            first_origin: name(first_origin),
            second,
            second_origin: name(second_origin),
            hint: match is_choice {
                true => "remove it from one of them, or set on_conflict",
                false => "remove it from one of them; on_conflict decides between files only",
            },
        }
    }

    /// The base's metadata of the directory `path`, which it keeps. A layer with store paths only
    /// has the same bytes with every base, so that images can share it.
    fn base_directory(&self, path: &[u8]) -> Option<&DirMetadata> {
        match self.image.base_node(path) {
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
