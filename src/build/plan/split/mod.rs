//! Splits the closure and the contents of an image into layers.

mod given;
mod named;
mod planned;
mod survey;

use std::collections::BTreeMap;

use crate::archive::entry::join;
use crate::archive::tree::Tree;
use crate::build::BuildError;
use crate::build::inputs::{Base, Content, FinishedLayer, nar_size, resolved_store_dir};
use crate::build::plan::Plan;
use crate::build::plan::assignment::Assignment;
use crate::build::plan::packages::Packages;
use crate::build::recipe::files::ConflictRule;
use crate::build::recipe::{Recipe, Store};
use crate::closure::{Closure, Graph, StorePath};
use crate::layering::{Budget, LayeringError, PathGraph, Strategy};

pub(in crate::build) use planned::PlannedLayer;
use survey::{Found, Survey};

/// The layers of an image, and what goes into each.
pub(super) struct Split {
    pub(super) layers: Vec<PlannedLayer>,
    pub(super) assignment: Assignment,
}

/// Splits the closure and the contents of `plan` into layers, with the layers `finished` on top,
/// within the recipe's limit. `whole` is the closure with the paths that the base has.
pub(super) fn split(
    plan: &Plan,
    whole: &Closure,
    finished: Vec<FinishedLayer>,
) -> Result<Split, BuildError> {
    let recipe = &plan.recipe;
    let named_paths = named::store_paths(recipe, whole, &plan.closure)?;
    let is_named = |path: &StorePath| named_paths.iter().flatten().any(|named| named == path);
    let closure = match recipe.layers.is_empty() {
        true => plan.closure.clone(),
        false => plan.closure.clone().without(is_named),
    };
    let base = plan.base.as_ref().map_or(0, |base| base.image.layers.len());
    let of_steps = recipe.steps.len() + usize::from(recipe.steps_name_paths());
    let fixed = finished.len() + of_steps;
    let budget = |contents: usize| Budget {
        max_layers: recipe.max_layers,
        base,
        contents: contents + fixed,
    };
    // Before any file is read.
    budget(recipe.layers.len()).available(closure.len())?;
    let survey = Survey::of(plan)?;
    let named = named::layers(recipe, named_paths, &survey)?;
    let rest = PlannedLayer::of_contents(recipe.layers.len());
    if recipe.layering == Strategy::Single {
        let paths: Vec<StorePath> = closure.paths().cloned().collect();
        let needed = survey.has_rest || !paths.is_empty();
        budget(named.len() + usize::from(needed)).available(0)?;
        let only_store_paths = only_store_paths(recipe, &plan.contents);
        let slot = rest.slot.filter(|_| survey.has_rest);
        let main = PlannedLayer { paths, only_store_paths, slot, ..rest };
        let layers = named.into_iter().chain(needed.then_some(main));
        return assigned(plan, survey.assignment, layers.collect(), finished);
    }
    let budget = budget(named.len() + usize::from(survey.has_rest));
    let (lower, assignment) =
        lower_layers(plan, survey.packages.as_ref(), &closure, budget, survey.assignment)?;
    let top = survey.has_rest.then_some(rest);
    let layers = lower.into_iter().chain(named).chain(top);
    assigned(plan, assignment, layers.collect(), finished)
}

/// Whether the single layer of `recipe` has nothing but store paths and their contents.
fn only_store_paths(recipe: &Recipe, contents: &[Content]) -> bool {
    let is_plain = |content: &Content| content.store_path.is_some() && content.entry.is_plain();
    contents.iter().all(is_plain)
        && !recipe.makes_files()
        && recipe.on_conflict == ConflictRule::Error
        && recipe.layers.iter().all(|layer| layer.paths.is_empty())
}

/// The layers that the recipe's strategy makes of store paths and packages, and the assignment of
/// the packages' files to them.
fn lower_layers(
    plan: &Plan,
    packages: Option<&Found>,
    closure: &Closure,
    budget: Budget,
    mut assignment: Assignment,
) -> Result<(Vec<PlannedLayer>, Assignment), BuildError> {
    let recipe = &plan.recipe;
    let count = packages.map_or(0, |packages| packages.sizes.len());
    let available = budget.available(closure.len() + count)?;
    let listed = recipe.store.as_ref().and_then(|store| store.layers.as_ref());
    let Some(Found { packages, sizes }) = packages else {
        let layers = match listed {
            Some(layers) => given::layers(recipe, layers, closure, budget)?,
            None => recipe.layering.layers(&graph(recipe, closure)?, available)?,
        };
        return Ok((layers.into_iter().map(PlannedLayer::of_store).collect(), assignment));
    };
    let paths = packages.paths(false);
    let graph = with_packages(recipe.store.as_ref(), closure, packages, &paths, sizes)?;
    let mut numbers: BTreeMap<&StorePath, usize> = BTreeMap::new();
    numbers
        .extend(paths.iter().enumerate().filter_map(|(index, path)| Some((path.as_ref()?, index))));
    if let Strategy::Pipeline(pipeline) = &recipe.layering {
        pipeline.check_paths(&graph).map_err(LayeringError::from)?;
    }
    let graph = sized_graph(recipe.store.as_ref(), &graph)?.with_sources(&packages.sources(&paths));
    let first = recipe.layers.len() + 1;
    let mut slots: BTreeMap<usize, usize> = BTreeMap::new();
    let mut layers = Vec::new();
    for (index, layer) in recipe.layering.layers(&graph, available)?.into_iter().enumerate() {
        let (of_packages, paths): (Vec<_>, Vec<_>) =
            layer.into_iter().partition(|path| numbers.contains_key(path));
        let members = || of_packages.iter().filter_map(|path| numbers.get(path).copied());
        slots.extend(members().map(|package| (package, first + index)));
        layers.push(match of_packages.is_empty() {
            true => PlannedLayer::of_store(paths),
            false => PlannedLayer {
                paths,
                packages: members().map(|package| packages.name(package).to_owned()).collect(),
                ..PlannedLayer::of_contents(first + index)
            },
        });
    }
    assignment.set_packages(|package| slots.get(&package).copied());
    Ok((layers, assignment))
}

/// Completes the assignment to `layers`, which the layers `finished` follow.
fn assigned(
    plan: &Plan,
    mut assignment: Assignment,
    layers: Vec<PlannedLayer>,
    finished: Vec<FinishedLayer>,
) -> Result<Split, BuildError> {
    if let Some(lowest) = layers.iter().find_map(|layer| layer.slot) {
        assignment.removals = lowest;
    }
    if let (Some(store), false) = (&plan.recipe.store, assignment.is_trivial()) {
        let no_base = Tree::default();
        let base = plan.base.as_ref().map_or(Ok(&no_base), Base::tree)?;
        let dir = resolved_store_dir(base, &store.dir)?;
        for layer in &layers {
            let Some(slot) = layer.slot else { continue };
            for path in &layer.paths {
                assignment.add_store_path(join(&dir, path.name().as_bytes()), slot);
            }
        }
    }
    let finished = finished.into_iter().map(PlannedLayer::of_finished);
    Ok(Split { layers: layers.into_iter().chain(finished).collect(), assignment })
}

/// The graph of what `plan` splits into layers: its closure, and the packages in its contents with
/// their versions.
pub(super) fn versioned_graph(plan: &Plan) -> Result<PathGraph, BuildError> {
    let store = plan.recipe.store.as_ref();
    if !plan.recipe.package_layers {
        return sized_graph(store, &plan.closure);
    }
    let survey = Survey::of(plan)?;
    let Some(Found { packages, sizes }) = &survey.packages else {
        return sized_graph(store, &plan.closure);
    };
    let paths = packages.paths(true);
    let closure = with_packages(store, &plan.closure, packages, &paths, sizes)?;
    Ok(sized_graph(store, &closure)?.with_sources(&packages.sources(&paths)))
}

/// The closure together with the packages that have files.
fn with_packages(
    store: Option<&Store>,
    closure: &Closure,
    packages: &Packages,
    paths: &[Option<StorePath>],
    sizes: &BTreeMap<usize, u64>,
) -> Result<Closure, BuildError> {
    let mut graph = Graph::default();
    for (path, references) in closure.iter() {
        let size = match (closure.nar_size(path), store) {
            (None, Some(store)) => Some(nar_size(&store.source.join(path.name()))?),
            (size, _) => size,
        };
        graph.add(path.clone(), references.iter().cloned(), size)?;
    }
    packages.add_to(&mut graph, paths, sizes)?;
    let roots: Vec<_> = graph.paths().map(|path| ("contents".to_owned(), path.clone())).collect();
    Ok(graph.closure(roots)?)
}

/// The graph of `closure`, with sizes if the recipe's strategy needs them.
fn graph(recipe: &Recipe, closure: &Closure) -> Result<PathGraph, BuildError> {
    match recipe.layering.needs_sizes() {
        true => sized_graph(recipe.store.as_ref(), closure),
        false => Ok(PathGraph::new(closure, |_| 0)),
    }
}

/// The graph of `closure`, with sizes from the reference graph, or else from the files of `store`.
fn sized_graph(store: Option<&Store>, closure: &Closure) -> Result<PathGraph, BuildError> {
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
