//! Merges placed contents into a layer: shared directories become one, other duplicates are
//! conflicts.

use std::collections::BTreeSet;

use super::hard_links::{self, LinkEntries};
use super::merged_layer::{MergedLayer, Sink};
use super::replaced::Replaced;
use crate::archive::ArchiveError;
use crate::archive::entry::{Attributes, Entry, FileContent, Kind, display_path};
use crate::archive::layer::{Layer, LayerBuilder};
use crate::archive::tar_file::TarFile;
use crate::archive::tree::Tree;
use crate::build::BuildError;
use crate::build::place::{ImagePath, Origin, Placed, Placer, Priority, Sorted};
use crate::build::recipe::files::ConflictRule;

/// Everything that was placed, merged and in order.
pub(in crate::build) struct Merged<'a> {
    placer: Placer<'a>,
    attributes: Attributes,
    sorted: Sorted,
    links: LinkEntries,
}

impl Merged<'_> {
    /// Calls `visit` for every entry, in order.
    pub(in crate::build) fn each(
        &self,
        visit: &mut dyn FnMut(&Entry) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let sink = Sink::Each(visit, &self.links);
        self.placer.pass(&self.sorted, self.attributes.clone(), sink).map(drop)
    }

    /// Calls `visit` for everything that was placed and that nothing else replaces, in order, with
    /// its origin and the origin's index. Folders that follow from their files are not among it.
    pub(in crate::build) fn each_placed(
        &self,
        visit: &mut dyn FnMut(Entry, usize, &Origin),
    ) -> Result<(), BuildError> {
        let origins = &self.placer.origins;
        let mut each = |placed: Placed| {
            let index = placed.origin as usize;
            visit(placed.entry, index, &origins[index]);
            Ok(())
        };
        self.placer.each_winner(&self.sorted, &mut each).map(drop)
    }

    /// The hard links of the layer, each with the path of the name that has the content.
    pub(in crate::build) fn hard_links(&self) -> impl Iterator<Item = (&ImagePath, &ImagePath)> {
        self.links.iter().filter_map(|(path, entry)| match &entry.kind {
            Kind::HardLink(first) => Some((path, first)),
            _ => None,
        })
    }

    /// The tars that contents of entries are parts of.
    pub(in crate::build) fn tars(&self) -> &[TarFile] {
        &self.placer.tars
    }

    /// The base's files.
    pub(in crate::build) fn base(&self) -> &Tree {
        self.placer.rules.base
    }
}

impl<'a> Placer<'a> {
    /// Makes a layer of everything that was placed.
    pub(in crate::build) fn finish(self, attributes: Attributes) -> Result<Layer, BuildError> {
        let merged = self.merged(attributes.clone())?;
        let mut builder = LayerBuilder::new(attributes).with_tars(merged.tars().to_vec());
        merged.each(&mut |entry| Ok(builder.push(entry)?))?;
        Ok(builder.finish()?)
    }

    /// Merges everything that was placed. A layer may have more entries than fit into memory, so
    /// they pass one by one.
    pub(in crate::build) fn merged(
        mut self,
        attributes: Attributes,
    ) -> Result<Merged<'a>, BuildError> {
        let mut sorted = std::mem::take(&mut self.placed).sorted();
        while self.expand_links(&sorted)? {
            sorted = std::mem::take(&mut self.placed).sorted();
        }
        let mut links = LinkEntries::new();
        if !self.hard_links.is_empty() {
            // The entries of links depend on others, so they are collected first.
            let targets = self.hard_links.targets().map(Into::into).collect();
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
        let mut layer = MergedLayer::new(self, attributes, sink);
        let used_removals = self.each_winner(sorted, &mut |placed| layer.push(placed))?;
        if let Some(path) = self.removals.unused(&used_removals) {
            let problem = "there is no such path in the contents or the base image to remove";
            return Err(BuildError::content(format!("path {}", display_path(path)), problem));
        }
        Ok(layer.sink)
    }

    /// Calls `visit` for what counts of everything that was placed at the same path, in order.
    /// Returns the removed paths at which something was placed.
    fn each_winner(
        &self,
        sorted: &Sorted,
        visit: &mut dyn FnMut(Placed) -> Result<(), BuildError>,
    ) -> Result<BTreeSet<ImagePath>, BuildError> {
        let mut replaced = Replaced::new(self);
        let mut previous: Option<Placed> = None;
        for placed in sorted.iter()? {
            let placed = placed?;
            if replaced.contains(&placed) {
                continue;
            }
            match &previous {
                Some(first) if first.entry.path == placed.entry.path => {
                    if self.replaces(first, &placed)? {
                        previous = Some(placed);
                    }
                }
                _ => {
                    if let Some(first) = previous.replace(placed) {
                        visit(first)?;
                    }
                }
            }
        }
        previous.map_or(Ok(()), visit)?;
        Ok(replaced.used_removals)
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
        if same_origin {
            return Ok(true);
        }
        let kinds_fit = is_directory(first) == is_directory(second);
        if kinds_fit || one.priority == Priority::Helper || other.priority == Priority::Helper {
            if one.priority != other.priority {
                return Ok(other.priority > one.priority);
            }
            if one.priority == Priority::Path {
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
}
