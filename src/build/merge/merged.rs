//! Everything that was placed in a layer, merged.

use super::hard_links::{self, LinkEntries};
use super::merged_layer::{MergedLayer, Sink};
use crate::archive::ArchiveError;
use crate::archive::entry::{Attributes, Entry, Kind, display_path};
use crate::archive::layer::{Layer, LayerBuilder};
use crate::archive::tar_file::TarFile;
use crate::archive::tree::Tree;
use crate::build::BuildError;
use crate::build::place::{ImagePath, Origin, Placed, Placer, Sorted};

/// Everything that was placed, merged and in order.
pub(in crate::build) struct Merged<'a> {
    placer: Placer<'a>,
    attributes: Attributes,
    sorted: Sorted,
    links: LinkEntries,
}

impl<'a> Merged<'a> {
    /// Merges everything that `placer` has placed. A layer may have more entries than fit into
    /// memory, so they pass one by one.
    pub(in crate::build) fn new(
        mut placer: Placer<'a>,
        attributes: Attributes,
    ) -> Result<Self, BuildError> {
        let mut sorted = placer.entries.take_sorted();
        while placer.expand_links(&sorted)? {
            sorted = placer.entries.take_sorted();
        }
        let mut links = LinkEntries::new();
        let hard_links = &placer.entries.hard_links;
        if !hard_links.is_empty() {
            // The entries of links depend on others, so they are collected first.
            let targets = hard_links.targets().map(Into::into).collect();
            let sink = Sink::Links(targets, LinkEntries::new());
            let found = placer.pass(&sorted, attributes.clone(), sink)?;
            let Sink::Links(_, found) = found else { return Err(ArchiveError::WorkerLost.into()) };
            links = hard_links::resolve(hard_links, found)?;
        }
        Ok(Self { placer, attributes, sorted, links })
    }

    /// Makes one layer of all entries.
    pub(in crate::build) fn layer(&self) -> Result<Layer, BuildError> {
        let builder = LayerBuilder::new(self.attributes.clone());
        let mut builder = builder.with_tars(self.tars().to_vec());
        self.each(&mut |entry| Ok(builder.push(entry)?))?;
        Ok(builder.finish()?)
    }

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
        let entries = &self.placer.entries;
        let mut each = |placed: Placed| {
            let index = placed.origin;
            visit(placed.entry, index as usize, entries.origin(index));
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
        self.placer.image.base
    }
}

impl Placer<'_> {
    /// Passes everything that was placed in order, merged and changed, into `sink`.
    fn pass<'s>(
        &self,
        sorted: &Sorted,
        attributes: Attributes,
        sink: Sink<'s>,
    ) -> Result<Sink<'s>, BuildError> {
        let mut layer = MergedLayer::new(self, attributes, sink);
        let used_removals = self.each_winner(sorted, &mut |placed| layer.push(placed))?;
        if let Some(path) = self.image.removals.unused(&used_removals) {
            let problem = "there is no such path in the contents or the base image to remove";
            return Err(BuildError::content(format!("path {}", display_path(path)), problem));
        }
        Ok(layer.sink)
    }
}
