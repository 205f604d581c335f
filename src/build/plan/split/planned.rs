//! A layer of a plan.

use crate::build::inputs::FinishedLayer;
use crate::closure::StorePath;
use crate::image::LayerContents;

/// A new layer of a planned image.
#[derive(Clone, Debug)]
pub(in crate::build) struct PlannedLayer {
    /// The name that the recipe gives it.
    pub(in crate::build) name: Option<String>,
    /// The store paths in it, sorted.
    pub(in crate::build) paths: Vec<StorePath>,
    /// The names of the packages in it.
    pub(in crate::build) packages: Vec<String>,
    /// The slot of the contents that are in it, if there are any.
    pub(in crate::build) slot: Option<usize>,
    /// Whether everything in it comes from store paths, whose names identify it.
    pub(in crate::build) only_store_paths: bool,
    /// The finished layer that it is, if it is one.
    pub(in crate::build) finished: Option<FinishedLayer>,
}

impl PlannedLayer {
    /// A layer with the contents of `slot`.
    pub(super) fn of_contents(slot: usize) -> Self {
        Self { slot: Some(slot), only_store_paths: false, ..Self::of_store(Vec::new()) }
    }

    /// A layer with store paths alone.
    pub(in crate::build) fn of_store(paths: Vec<StorePath>) -> Self {
        let (name, packages, slot, finished) = (None, Vec::new(), None, None);
        Self { name, paths, packages, slot, only_store_paths: true, finished }
    }

    /// A layer that is a tar, byte for byte.
    pub(super) fn of_finished(layer: FinishedLayer) -> Self {
        let empty = Self::of_store(Vec::new());
        Self { only_store_paths: false, finished: Some(layer), ..empty }
    }

    /// Its contents, for the history and for people.
    pub(in crate::build) fn contents(&self) -> LayerContents {
        LayerContents {
            name: self.name.clone(),
            packages: self.packages.clone(),
            paths: self.paths.iter().map(ToString::to_string).collect(),
            ..LayerContents::default()
        }
    }

    /// Whether it has contents.
    pub(in crate::build) fn has_contents(&self) -> bool {
        self.slot.is_some()
    }
}
