//! Splits the closure and the contents of an image into layers.

use std::collections::BTreeMap;

use super::BuildError;
use super::base::Base;
use super::inputs::Content;
use super::nar_size::nar_size;
use super::recipe::Recipe;
use crate::closure::{Closure, StorePath};
use crate::layering::{Budget, PathGraph, Strategy};

/// A new layer of a planned image.
#[derive(Clone, Debug)]
pub(super) struct PlannedLayer {
    /// The store paths in it, sorted.
    pub(super) paths: Vec<StorePath>,
    /// Whether the contents are in it.
    pub(super) has_contents: bool,
    /// Whether everything in it comes from store paths, whose names identify it.
    pub(super) only_store_paths: bool,
}

/// Splits `closure` and `contents` into layers, within the recipe's limit.
pub(super) fn layers(
    recipe: &Recipe,
    closure: &Closure,
    contents: &[Content],
    base: Option<&Base>,
) -> Result<Vec<PlannedLayer>, BuildError> {
    let has_contents = !contents.is_empty();
    let base = base.map_or(0, |base| base.image.layers.len());
    let budget = |contents: bool| {
        let contents = usize::from(contents) + recipe.steps.len();
        Budget { max_layers: recipe.max_layers, base, contents }
    };
    if recipe.layering == Strategy::Single {
        let paths: Vec<StorePath> = closure.paths().cloned().collect();
        let needed = has_contents || !paths.is_empty();
        budget(needed).available(0)?;
        let only_store_paths = contents.iter().all(|content| content.store_path.is_some());
        let layer = PlannedLayer { paths, has_contents, only_store_paths };
        return Ok(if needed { vec![layer] } else { Vec::new() });
    }
    let available = budget(has_contents).available(closure.len())?;
    let graph = graph(recipe, closure)?;
    let store_layers = recipe.layering.layers(&graph, available)?;
    let of_paths = |paths| PlannedLayer { paths, has_contents: false, only_store_paths: true };
    let top = PlannedLayer { paths: Vec::new(), has_contents: true, only_store_paths: false };
    Ok(store_layers.into_iter().map(of_paths).chain(has_contents.then_some(top)).collect())
}

/// The graph of `closure`, with sizes if the recipe's strategy needs them.
fn graph(recipe: &Recipe, closure: &Closure) -> Result<PathGraph, BuildError> {
    let mut sizes: BTreeMap<&StorePath, u64> = BTreeMap::new();
    if let (true, Some(store)) = (recipe.layering.needs_sizes(), &recipe.store) {
        for path in closure.paths() {
            let size = match closure.nar_size(path) {
                Some(size) => size,
                None => nar_size(&store.source.join(path.name()))?,
            };
            sizes.insert(path, size);
        }
    }
    Ok(PathGraph::new(closure, |path| sizes.get(path).copied().unwrap_or(0)))
}
