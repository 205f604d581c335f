//! Layers of store paths that the recipe lists itself (`store.layers`).

use std::collections::BTreeSet;

use crate::build::BuildError;
use crate::build::recipe::Recipe;
use crate::closure::{Closure, StorePath};
use crate::layering::{Budget, BudgetError};

/// The layers that `recipe` lists, as far as `closure` has their paths. All paths of `closure`,
/// which the base does not have, must be among them.
pub(super) fn layers(
    recipe: &Recipe,
    listed: &[Vec<StorePath>],
    closure: &Closure,
    budget: Budget,
) -> Result<Vec<Vec<StorePath>>, BuildError> {
    let available = budget.available(closure.len())?;
    let all: BTreeSet<&StorePath> = listed.iter().flatten().collect();
    if let Some(path) = closure.paths().find(|path| !all.contains(path)) {
        let problem =
            format!("contents has {path}, which neither store.layers nor the base image has");
        return Err(BuildError::recipe(&recipe.path, problem));
    }
    let mut layers: Vec<Vec<StorePath>> = Vec::new();
    for layer in listed {
        let mut paths: Vec<StorePath> =
            layer.iter().filter(|path| closure.contains(path)).cloned().collect();
        paths.sort();
        layers.extend((!paths.is_empty()).then_some(paths));
    }
    if layers.len() > available {
        let Budget { max_layers, base, contents } = budget;
        let new = contents + layers.len();
        return Err(BudgetError::TooFew { max_layers, base, new }.into());
    }
    Ok(layers)
}
