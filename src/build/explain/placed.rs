//! The paths that a recipe places in an image, and the keys and contents that they come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::build::BuildError;
use crate::build::merge::Merged;
use crate::build::place::ImagePath;
use crate::build::plan::Plan;

/// A path that the recipe places.
pub(super) struct PlacedPath {
    /// The content that it is from, as an index; `None` if it is from another key.
    pub(super) content: Option<usize>,
    /// The key that it is from.
    pub(super) by: String,
    /// The file of the host, if it is a copy of one.
    pub(super) source: Option<PathBuf>,
}

/// The paths that the recipe places, except for store paths.
#[derive(Default)]
pub(super) struct PlacedPaths(BTreeMap<ImagePath, PlacedPath>);

impl PlacedPaths {
    /// Lists the contents of `plan`.
    pub(super) fn of(plan: &Plan) -> Result<Self, BuildError> {
        let mut placed = Self::default();
        if plan.contents.is_empty() && !plan.recipe.makes_files() {
            return Ok(placed);
        }
        let merged = Merged::new(plan.placer(true, &[])?, plan.recipe.attributes())?;
        merged.each_placed(&mut |entry, index, origin| {
            // Contents are placed before everything else.
            let content = (index < plan.contents.len()).then_some(index);
            let by = origin.key.to_owned();
            let source = entry.source();
            placed.0.insert(entry.path, PlacedPath { content, by, source });
        })?;
        Ok(placed)
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&PlacedPath> {
        self.0.get(path)
    }
}
