//! Splits the closure and the contents of an image into layers.

use std::collections::BTreeMap;

use super::BuildError;
use super::base::Base;
use super::files::ConflictRule;
use super::given_layers;
use super::inputs::{Content, FinishedLayer};
use super::nar_size::nar_size;
use super::recipe::{Recipe, Store};
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
    /// The finished layer that it is, if it is one.
    pub(super) finished: Option<FinishedLayer>,
}

impl PlannedLayer {
    fn finished(layer: FinishedLayer) -> Self {
        let paths = Vec::new();
        Self { paths, has_contents: false, only_store_paths: false, finished: Some(layer) }
    }
}

/// Splits `closure` and `contents` into layers, with the layers `finished` on top, within the
/// recipe's limit.
pub(super) fn layers(
    recipe: &Recipe,
    closure: &Closure,
    contents: &[Content],
    finished: Vec<FinishedLayer>,
    base: Option<&Base>,
) -> Result<Vec<PlannedLayer>, BuildError> {
    let has_contents = !contents.is_empty() || recipe.makes_files();
    let base = base.map_or(0, |base| base.image.layers.len());
    let budget = |contents: bool| {
        let contents = usize::from(contents) + finished.len() + recipe.steps.len();
        Budget { max_layers: recipe.max_layers, base, contents }
    };
    if recipe.layering == Strategy::Single {
        let paths: Vec<StorePath> = closure.paths().cloned().collect();
        let needed = has_contents || !paths.is_empty();
        budget(needed).available(0)?;
        let is_plain = |content: &Content| content.store_path.is_some() && content.entry.is_plain();
        let only_store_paths = contents.iter().all(is_plain)
            && !recipe.makes_files()
            && recipe.on_conflict == ConflictRule::Error;
        let layer = PlannedLayer { paths, has_contents, only_store_paths, finished: None };
        let finished = finished.into_iter().map(PlannedLayer::finished);
        return Ok(needed.then_some(layer).into_iter().chain(finished).collect());
    }
    let available = budget(has_contents).available(closure.len())?;
    let listed = recipe.store.as_ref().and_then(|store| store.layers.as_ref());
    let store_layers = match listed {
        Some(layers) => given_layers::layers(layers, closure, budget(has_contents))?,
        None => recipe.layering.layers(&graph(recipe, closure)?, available)?,
    };
    let layer = |paths, has_contents| PlannedLayer {
        paths,
        has_contents,
        only_store_paths: !has_contents,
        finished: None,
    };
    let store_layers = store_layers.into_iter().map(|paths| layer(paths, false));
    let top = has_contents.then(|| layer(Vec::new(), true));
    let finished = finished.into_iter().map(PlannedLayer::finished);
    Ok(store_layers.chain(top).chain(finished).collect())
}

/// The graph of `closure`, with sizes if the recipe's strategy needs them.
fn graph(recipe: &Recipe, closure: &Closure) -> Result<PathGraph, BuildError> {
    match recipe.layering.needs_sizes() {
        true => sized_graph(recipe.store.as_ref(), closure),
        false => Ok(PathGraph::new(closure, |_| 0)),
    }
}

/// The graph of `closure`, with sizes from the reference graph, or else from the files of `store`.
pub(super) fn sized_graph(
    store: Option<&Store>,
    closure: &Closure,
) -> Result<PathGraph, BuildError> {
    let mut sizes: BTreeMap<&StorePath, u64> = BTreeMap::new();
    for path in closure.paths() {
        let size = match (closure.nar_size(path), store) {
            (None, Some(store)) => nar_size(&store.source.join(path.name()))?,
            (size, _) => size.unwrap_or(0),
        };
        sizes.insert(path, size);
    }
    Ok(PathGraph::new(closure, |path| sizes.get(path).copied().unwrap_or(0)))
}
