//! The layers that the recipe names.

use std::collections::BTreeSet;

use super::planned::PlannedLayer;
use super::survey::Survey;
use crate::build::BuildError;
use crate::build::recipe::Recipe;
use crate::build::recipe::files::Used;
use crate::closure::{Closure, StorePath};
use crate::text;

/// The store paths of each layer that the recipe names; the first layer that matches a path has it.
/// Those that only `whole` has, and not `closure`, are in the base.
pub(super) fn store_paths(
    recipe: &Recipe,
    whole: &Closure,
    closure: &Closure,
) -> Result<Vec<Vec<StorePath>>, BuildError> {
    let mut taken: BTreeSet<&StorePath> = BTreeSet::new();
    let mut layers = Vec::new();
    for layer in &recipe.layers {
        let mut used = Used::new();
        let name = |path: &&StorePath| path.name().as_bytes().to_vec();
        let matching: Vec<&StorePath> = whole
            .paths()
            .filter(|path| layer.store_paths.matches(&name(path), &mut used))
            .collect();
        let unused = layer.store_paths.unused(&used).next();
        if let (Some(pattern), true) = (unused, recipe.include_store_paths) {
            let problem = format!(
                "layer {}: store_paths: {} matches no store path of the image; mend or remove it",
                text::quote(&layer.name),
                text::quote(pattern)
            );
            return Err(BuildError::recipe(&recipe.path, problem));
        }
        let is_new = !matching.is_empty();
        let paths: Vec<StorePath> =
            matching.into_iter().filter(|path| taken.insert(path)).cloned().collect();
        if is_new && paths.is_empty() && layer.paths.is_empty() {
            return Err(all_taken(recipe, &layer.name));
        }
        layers.push(paths.into_iter().filter(|path| closure.contains(path)).collect());
    }
    Ok(layers)
}

/// The layers that the recipe names and that have something, with their `store_paths`.
pub(super) fn layers(
    recipe: &Recipe,
    store_paths: Vec<Vec<StorePath>>,
    survey: &Survey,
) -> Result<Vec<PlannedLayer>, BuildError> {
    let mut layers = Vec::new();
    for (slot, (layer, paths)) in recipe.layers.iter().zip(store_paths).enumerate() {
        if let Some(pattern) = layer.paths.unused(&survey.used[slot]).next() {
            let problem = format!(
                "layer {}: paths: {} matches no file of the contents; write paths as they are in \
                 the image, such as \"/srv/app\"",
                text::quote(&layer.name),
                text::quote(pattern)
            );
            return Err(BuildError::recipe(&recipe.path, problem));
        }
        let has_files = survey.named[slot] > 0;
        if !layer.paths.is_empty() && !has_files && paths.is_empty() {
            return Err(all_taken(recipe, &layer.name));
        }
        let planned = match has_files {
            true => PlannedLayer { paths, ..PlannedLayer::of_contents(slot) },
            false => PlannedLayer::of_store(paths),
        };
        if has_files || !planned.paths.is_empty() {
            layers.push(PlannedLayer { name: Some(layer.name.clone()), ..planned });
        }
    }
    Ok(layers)
}

fn all_taken(recipe: &Recipe, layer: &str) -> BuildError {
    let problem = format!(
        "layer {} would be empty: layers before it have all that its patterns match; write it \
         before them",
        text::quote(layer)
    );
    BuildError::recipe(&recipe.path, problem)
}
