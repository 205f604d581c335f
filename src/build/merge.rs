//! Merges placed contents into a layer: shared directories become one, other duplicates are
//! conflicts, and every parent directory gets an entry.

use std::collections::BTreeSet;

use super::BuildError;
use super::changes::Pass;
use super::files::ConflictRule;
use super::hard_links::{self, LinkEntries};
use super::image_path::{ImagePath, is_within};
use super::origin::Priority;
use super::placer::Placer;
use super::sorter::{Placed, Sorted};
use crate::archive::ArchiveError;
use crate::archive::entry::{Attributes, Entry, FileContent, Kind, display_path, parent_of};
use crate::archive::layer::{Layer, LayerBuilder};
use crate::archive::tar_file::TarFile;
use crate::archive::tree::{DirMetadata, Node, Tree};

/// Everything that was placed, merged and in order.
pub(super) struct Merged<'a> {
    placer: Placer<'a>,
    attributes: Attributes,
    sorted: Sorted,
    links: LinkEntries,
}

impl Merged<'_> {
    /// Calls `visit` for every entry, in order.
    pub(super) fn each(
        &self,
        visit: &mut dyn FnMut(&Entry) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let sink = Sink::Each(visit, &self.links);
        self.placer.pass(&self.sorted, self.attributes.clone(), sink).map(drop)
    }

    /// The tars that contents of entries are parts of.
    pub(super) fn tars(&self) -> &[TarFile] {
        &self.placer.tars
    }

    /// The base's files.
    pub(super) fn base(&self) -> &Tree {
        self.placer.rules.base
    }
}

impl<'a> Placer<'a> {
    /// Makes a layer of everything that was placed.
    pub(super) fn finish(self, attributes: Attributes) -> Result<Layer, BuildError> {
        let merged = self.merged(attributes.clone())?;
        let mut builder = LayerBuilder::new(attributes).with_tars(merged.tars().to_vec());
        merged.each(&mut |entry| Ok(builder.push(entry)?))?;
        Ok(builder.finish()?)
    }

    /// Merges everything that was placed. A layer may have more entries than fit into memory, so
    /// they pass one by one.
    pub(super) fn merged(mut self, attributes: Attributes) -> Result<Merged<'a>, BuildError> {
        let mut sorted = std::mem::take(&mut self.placed).sorted();
        while self.expand_links(&sorted)? {
            sorted = std::mem::take(&mut self.placed).sorted();
        }
        let mut links = LinkEntries::new();
        if !self.hard_links.is_empty() {
            // The entries of links depend on others, so they are collected first.
            let follow = |target| hard_links::follow(&self.hard_links, target).into();
            let targets = self.hard_links.values().map(|target| follow(target)).collect();
            let sink = Sink::Links(targets, LinkEntries::new());
            let found = self.pass(&sorted, attributes.clone(), sink)?;
            let Sink::Links(_, found) = found else { return Err(ArchiveError::WorkerLost.into()) };
            links = hard_links::resolve(&self.hard_links, found)?;
        }
        Ok(Merged { placer: self, attributes, sorted, links })
    }

    /// Passes everything that was placed in order, merged and changed, into `sink`.
    fn pass<'s>(
        &self,
        sorted: &Sorted,
        attributes: Attributes,
        sink: Sink<'s>,
    ) -> Result<Sink<'s>, BuildError> {
        let mut layer = MergedLayer {
            placer: self,
            attributes,
            parents: Vec::new(),
            last_file: LastFile::default(),
            changes: self.changes.pass(),
            used_removals: BTreeSet::new(),
            sink,
        };
        let mut previous: Option<Placed> = None;
        for placed in sorted.iter()? {
            let placed = placed?;
            match &previous {
                Some(first) if first.entry.path == placed.entry.path => {
                    if self.replaces(first, &placed)? {
                        previous = Some(placed);
                    }
                }
                _ => {
                    if let Some(first) = previous.replace(placed) {
                        layer.push(first)?;
                    }
                }
            }
        }
        previous.map_or(Ok(()), |last| layer.push(last))?;
        let unused = self
            .removed
            .iter()
            .find(|(path, in_base)| !**in_base && !layer.used_removals.contains(*path));
        if let Some((path, _)) = unused {
            let problem = "there is no such path in the contents or the base image to remove";
            return Err(BuildError::content(format!("path {}", display_path(path)), problem));
        }
        Ok(layer.sink)
    }

    /// Whether `second` replaces `first`, which has the same path. Two directories are one, of
    /// which the first counts; otherwise the origin with the higher priority wins, or the recipe
    /// decides.
    fn replaces(&self, first: &Placed, second: &Placed) -> Result<bool, BuildError> {
        let origin = |placed: &Placed| &self.origins[placed.origin as usize];
        let (one, other) = (origin(first), origin(second));
        let is_directory = |placed: &Placed| matches!(placed.entry.kind, Kind::Directory);
        let same_origin = first.origin == second.origin && one.last_wins;
        let same = match (&first.entry.kind, &second.entry.kind) {
            (Kind::Directory, Kind::Directory) => {
                let last = self.rules.on_conflict == ConflictRule::Last
                    && one.priority == Priority::Content
                    && other.priority == Priority::Content;
                return Ok(same_origin || last || one.priority < Priority::Content);
            }
            (Kind::Symlink(first), Kind::Symlink(second)) => first == second,
            (Kind::File(FileContent::Host(_)), Kind::File(FileContent::Host(_))) => {
                first.entry.source() == second.entry.source()
            }
            _ => false,
        };
        let kinds_fit = is_directory(first) == is_directory(second);
        if kinds_fit || one.priority == Priority::Helper || other.priority == Priority::Helper {
            if one.priority != other.priority {
                return Ok(other.priority > one.priority);
            }
            if same_origin || one.priority == Priority::Path {
                return Ok(true);
            }
            if same {
                return Ok(false);
            }
            match self.rules.on_conflict {
                ConflictRule::First => return Ok(false),
                ConflictRule::Last => return Ok(true),
                ConflictRule::Error => {}
            }
        }
        let side = |placed: &Placed| (placed.entry.kind.noun(), placed.origin);
        Err(self.conflict(&first.entry.path, side(first), side(second)))
    }

    /// The conflict of two files at `path`, given by their kinds and origins.
    fn conflict(
        &self,
        path: &[u8],
        (first, first_origin): (&'static str, u32),
        (second, second_origin): (&'static str, u32),
    ) -> BuildError {
        let name = |origin: u32| self.origins[origin as usize].name.clone();
        let is_choice = (first == DIRECTORY) == (second == DIRECTORY);
        BuildError::Conflict {
            path: path.into(),
            first,
            first_origin: name(first_origin),
            second,
            second_origin: name(second_origin),
            hint: match is_choice {
                true => "remove it from one of them, or set on_conflict",
                false => "remove it from one of them",
            },
        }
    }

    /// The base's metadata of the directory `path`, which it keeps. A layer with store paths only
    /// has the same bytes with every base, so that images can share it.
    fn base_directory(&self, path: &[u8]) -> Option<&DirMetadata> {
        match self.rules.base.get(path) {
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

/// The destination of merged entries.
enum Sink<'s> {
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
struct MergedLayer<'a, 's> {
    placer: &'a Placer<'a>,
    attributes: Attributes,
    /// The parent directories of the last entry, outermost first. They have entries.
    parents: Vec<ImagePath>,
    /// The last entry that is not a directory.
    last_file: LastFile,
    changes: Pass<'a>,
    /// The removals that removed an entry.
    used_removals: BTreeSet<ImagePath>,
    sink: Sink<'s>,
}

impl MergedLayer<'_, '_> {
    /// Adds an entry. A layer must repeat the parent directories of its files, or engines make them
    /// up. A directory of the base keeps its owner, mode and time there; one that nothing describes
    /// is owned by root and has mode 0755.
    fn push(&mut self, placed: Placed) -> Result<(), BuildError> {
        let entry = &placed.entry;
        if self.is_removed(&entry.path) {
            return Ok(());
        }
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
        if !in_base || self.placer.is_replaced(&entry.path) {
            return self.emit(placed.entry);
        }
        let wanted = entry.attributes.as_deref().map(|own| (own.uid, own.gid));
        let of_content = self.placer.origins[placed.origin as usize].priority == Priority::Content;
        let mut kept = self.placer.directory_entry(&entry.path);
        let owner = kept.attributes.as_ref().map(|kept| (kept.uid, kept.gid));
        let is_changed = self.changes.apply(&mut kept, &self.attributes)?;
        if let Some(owner) = owner.filter(|_| !is_changed && of_content) {
            self.placer.rules.notices.base_owner(&kept.path, owner, wanted);
        }
        self.write(kept)
    }

    /// Whether a single path removes `path`.
    fn is_removed(&mut self, path: &[u8]) -> bool {
        if self.placer.removed.is_empty() {
            return false;
        }
        let ends = (1..=path.len()).filter(|end| matches!(path.get(*end), None | Some(b'/')));
        let mut above = ends.map(|end| &path[..end]);
        let removed = above.find(|above| self.placer.removed.contains_key(*above));
        self.used_removals.extend(removed.map(ImagePath::from));
        removed.is_some()
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
