//! Proposes a layer plan: the one that would have shipped the fewest bytes, as far as earlier
//! builds and the names of packages tell what changes together.
//!
//! Every update is an event: the set of paths that it changes. The earlier builds tell which events
//! happened, and whether whatever depends on a changed path changes too. The rest is the search of
//! [`merging`].

use std::collections::{BTreeMap, BTreeSet};

use super::graph::PathGraph;
use super::named::LayerPlan;
use super::{merging, package};

/// An update from one build to the next: the packages that it changed.
struct Update {
    changed: BTreeSet<String>,
    stems: BTreeSet<String>,
}

impl Update {
    /// The numbers of the paths that it changed, of those with these `names`: packages that it
    /// changed, and those whose name differs in numbers only.
    fn paths(&self, names: &[String]) -> Vec<usize> {
        let is_changed = |name: &String| {
            self.changed.contains(name) || self.stems.contains(&package::stem(name))
        };
        (0..names.len()).filter(|path| is_changed(&names[*path])).collect()
    }
}

/// Proposes a plan with at most `limit` layers for images like `graph`, after the builds `history`,
/// oldest first. One of the layers is for packages that are new then.
pub fn propose(graph: &PathGraph, history: &[PathGraph], limit: usize) -> LayerPlan {
    let builds: Vec<(&PathGraph, BTreeMap<String, BTreeSet<&str>>)> =
        history.iter().map(|build| (build, versions(build))).collect();
    let pairs = builds.windows(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?)));
    let updates: Vec<Update> =
        pairs.map(|((_, before), (_, after))| update(before, after)).collect();
    let names: Vec<String> = graph.paths().iter().map(package::name).collect();
    let happened: Vec<Vec<usize>> = updates.iter().map(|update| update.paths(&names)).collect();
    let dependents_change = rebuilds_dependents(&builds, &updates);
    let limit = limit.saturating_sub(1).max(1);
    let layers = merging::layers(graph, &happened, dependents_change, limit);
    let names = |layer: &Vec<usize>| {
        let names: BTreeSet<String> = layer.iter().map(|path| names[*path].clone()).collect();
        names
    };
    // Two paths of one package may be in two layers; the plan keeps the first.
    let mut seen = BTreeSet::new();
    let layers = layers.iter().map(|layer| {
        names(layer).into_iter().filter(|name| seen.insert(name.clone())).collect::<Vec<_>>()
    });
    let layers: Vec<Vec<String>> = layers.filter(|layer| !layer.is_empty()).collect();
    LayerPlan { layers }
}

/// The paths of each package of a build.
fn versions(build: &PathGraph) -> BTreeMap<String, BTreeSet<&str>> {
    let mut versions: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for path in build.paths() {
        versions.entry(package::name(path)).or_default().insert(path.as_str());
    }
    versions
}

fn update(
    before: &BTreeMap<String, BTreeSet<&str>>,
    after: &BTreeMap<String, BTreeSet<&str>>,
) -> Update {
    let is_changed = |(name, paths): &(&String, &BTreeSet<&str>)| {
        before.get(*name).is_some_and(|old| old != *paths)
    };
    let changed: BTreeSet<String> =
        after.iter().filter(is_changed).map(|(name, _)| name.clone()).collect();
    let stems = changed.iter().map(|name| package::stem(name)).collect();
    Update { changed, stems }
}

/// Whether paths that depend on a changed path have changed too, nearly always.
fn rebuilds_dependents(
    builds: &[(&PathGraph, BTreeMap<String, BTreeSet<&str>>)],
    updates: &[Update],
) -> bool {
    let (mut dependents, mut changed) = (0_u64, 0_u64);
    for ((build, _), update) in builds.iter().skip(1).zip(updates) {
        let is_changed: Vec<bool> = build
            .paths()
            .iter()
            .map(|path| update.changed.contains(&package::name(path)))
            .collect();
        for (path, above) in build.dependents().iter().enumerate() {
            if is_changed[path] {
                dependents += above.len() as u64;
                changed += above.iter().filter(|path| is_changed[**path]).count() as u64;
            }
        }
    }
    dependents > 0 && changed * 10 >= dependents * 9
}
