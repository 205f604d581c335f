//! Layers of store paths that the recipe lists itself (`store.layers`).

use super::BuildError;

use super::recipe::Recipe;
use crate::closure::{Closure, Graph, StorePath};
use crate::layering::{Budget, BudgetError};

/// The paths of `layers` as a closure, in which nothing refers to anything. The store paths in
/// `contents` must be among them.
pub(super) fn closure(
    recipe: &Recipe,
    layers: &[Vec<StorePath>],
    contents: impl IntoIterator<Item = StorePath>,
) -> Result<Closure, BuildError> {
    let mut graph = Graph::default();
    for path in layers.iter().flatten() {
        graph.add(path.clone(), [], None).map_err(|_| {
            let problem = format!("store.layers lists {path} twice");
            BuildError::recipe(&recipe.path, problem)
        })?;
    }
    if let Some(path) = contents.into_iter().find(|path| !graph.contains(path)) {
        let problem = format!("contents has {path}, which store.layers does not list");
        return Err(BuildError::recipe(&recipe.path, problem));
    }
    let roots = layers.iter().flatten().map(|path| ("store.layers".to_owned(), path.clone()));
    Ok(graph.closure(roots)?)
}

/// The listed layers, as far as `closure` has their paths.
pub(super) fn layers(
    listed: &[Vec<StorePath>],
    closure: &Closure,
    budget: Budget,
) -> Result<Vec<Vec<StorePath>>, BudgetError> {
    let available = budget.available(closure.len())?;
    let mut layers: Vec<Vec<StorePath>> = Vec::new();
    for layer in listed {
        let mut paths: Vec<StorePath> =
            layer.iter().filter(|path| closure.contains(path)).cloned().collect();
        paths.sort();
        layers.extend((!paths.is_empty()).then_some(paths));
    }
    if layers.len() > available {
        let Budget { max_layers, base, contents } = budget;
        return Err(BudgetError::TooFew { max_layers, base, new: contents + layers.len() });
    }
    Ok(layers)
}
