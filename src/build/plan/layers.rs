//! The layers of a plan, described without reading the contents of files.

use std::path::Path;

use super::{Plan, split};
use crate::build::BuildError;
use crate::build::inputs::{self, Base};
use crate::build::recipe::Store;
use crate::closure::StorePath;
use crate::image::{DiffId, LayerContents};
use crate::layering::PathGraph;

/// A layer of a planned image.
#[derive(Clone, Debug)]
pub struct LayerOutline {
    /// The size of the uncompressed tar in bytes.
    pub size: u64,
    /// The number of entries; `None` for layers of the base.
    pub entries: Option<usize>,
    /// The contents; of a layer of the base, as far as the base's history has them.
    pub contents: LayerContents,
    /// The diff ID of a layer of the base.
    pub base: Option<DiffId>,
}

impl Plan {
    /// The layers that the image will have, lowest first, without those that steps make. Of the
    /// files, only metadata is read.
    ///
    /// # Errors
    /// If contents cannot be read, or conflict.
    pub fn outline(&self) -> Result<Vec<LayerOutline>, BuildError> {
        let sizes = self.base.as_ref().map_or(Ok(&[][..]), Base::sizes)?;
        let images = self.base.iter().map(|base| &base.image);
        let layers =
            images.flat_map(|image| image.layers.iter().zip(image.config.layer_contents()));
        let mut outlines: Vec<LayerOutline> = layers
            .zip(sizes)
            .map(|((layer, contents), size)| LayerOutline {
                size: *size,
                entries: None,
                contents: LayerContents { base: true, ..contents },
                base: Some(layer.diff_id),
            })
            .collect();
        for (planned, source) in self.layers.iter().zip(self.sources(&self.layers)) {
            let layer = source()?;
            outlines.push(LayerOutline {
                size: layer.size(),
                entries: Some(layer.len()),
                contents: planned.contents(),
                base: None,
            });
        }
        Ok(outlines)
    }

    /// The store paths that the image needs and its base does not have, with their sizes as Nix
    /// archives, and the packages in the contents, if they are split into layers.
    ///
    /// # Errors
    /// If the reference graph has no sizes and a store path cannot be read, or the contents cannot.
    pub fn path_graph(&self) -> Result<PathGraph, BuildError> {
        split::versioned_graph(self)
    }

    /// The store paths of each new layer that has any, lowest first.
    pub fn store_layers(&self) -> impl Iterator<Item = &[StorePath]> {
        self.layers.iter().map(|layer| layer.paths.as_slice()).filter(|paths| !paths.is_empty())
    }

    /// The number of layers that the image may have for store paths and packages.
    pub fn available_layers(&self) -> usize {
        let base = self.base.as_ref().map_or(0, |base| base.image.layers.len());
        let contents = usize::from(!self.contents.is_empty());
        let of_steps = self.recipe.steps.len() + usize::from(self.recipe.steps_name_paths());
        let contents = contents + self.recipe.layers.len() + of_steps;
        self.recipe.max_layers.saturating_sub(base + contents)
    }
}

/// Reads the reference graph of an earlier build: all paths in the file `path`. Paths that have no
/// size there, and are not in the store any more, have the size zero.
///
/// # Errors
/// If the file cannot be read, or is not a reference graph of `store`.
pub fn read_path_graph(path: &Path, store: &Store) -> Result<PathGraph, BuildError> {
    let closure = inputs::whole_graph(path, store)?;
    Ok(PathGraph::new(&closure, |path| closure.nar_size(path).unwrap_or(0)))
}
