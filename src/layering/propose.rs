//! Proposes a layer plan: the one that would have shipped the fewest bytes, as far as earlier
//! builds and the names of packages tell what changes together.
//!
//! Every update is an event: the set of paths that it changes. The earlier builds give the events
//! that happened. For what did not happen yet, every version of a package is an event that may
//! happen, with a small weight: paths with the same version are mostly of one package. If in
//! earlier builds whatever depends on a changed path changed too, as in Nix stores, so it does in
//! these events.
//!
//! A layer costs its size times the weight of all events that change anything in it. The search
//! begins with a layer for each set of paths that occur in the same events, and merges the two
//! layers whose union costs the least more, until there are few enough.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::graph::{PathGraph, reachable};
use super::named::LayerPlan;
use super::package;

/// The weight of an event that happened, and of one that may happen.
const HAPPENED: u64 = 5;
const MAY_HAPPEN: u64 = 1;
/// The most layers that the search begins with; it takes time and memory by the square.
const MAX_START: usize = 1500;

/// An update from one build to the next: the packages that it changed.
struct Update {
    changed: BTreeSet<String>,
    stems: BTreeSet<String>,
}

/// Proposes a plan with at most `limit` layers for images like `graph`, after the builds `history`,
/// oldest first. One of the layers is for packages that are new then.
pub fn propose(graph: &PathGraph, history: &[PathGraph], limit: usize) -> LayerPlan {
    let builds: Vec<(&PathGraph, BTreeMap<String, BTreeSet<&str>>)> =
        history.iter().map(|build| (build, versions(build))).collect();
    let pairs = builds.windows(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?)));
    let updates: Vec<Update> =
        pairs.map(|((_, before), (_, after))| update(before, after)).collect();
    let events = Events::new(graph, &updates, rebuilds_dependents(&builds, &updates));
    let mut layers = merged(events.start(graph), &events, limit.saturating_sub(1).max(1));
    // What changes the least is lowest.
    layers.sort_by_cached_key(|layer| (events.weight(&layer.events), layer.paths.clone()));
    let names = |layer: &Group| {
        let names: BTreeSet<String> =
            layer.paths.iter().map(|path| package::name(&graph.paths()[*path])).collect();
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

/// The events of a graph. Those that happened come first in a set of events, in whole words.
struct Events {
    /// The set of events that change each path.
    of_path: Vec<Vec<u64>>,
    /// The number of words for events that happened.
    happened: usize,
}

impl Events {
    fn new(graph: &PathGraph, updates: &[Update], dependents_change: bool) -> Self {
        let names: Vec<String> = graph.paths().iter().map(package::name).collect();
        let happened = updates.iter().map(|update| {
            let is_changed = |name: &String| {
                update.changed.contains(name) || update.stems.contains(&package::stem(name))
            };
            (0..names.len()).filter(|path| is_changed(&names[*path])).collect::<Vec<usize>>()
        });
        let mut versions: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, path) in graph.paths().iter().enumerate() {
            versions.entry(package::version(path)).or_default().push(number);
        }
        let words = |count: usize| count.div_ceil(u64::BITS as usize);
        let count = words(updates.len());
        let mut of_path = vec![vec![0; count + words(versions.len())]; graph.len()];
        let happened = (0..).zip(happened);
        let possible = (count * u64::BITS as usize..).zip(versions.into_values());
        for (bit, paths) in happened.chain(possible) {
            let paths = match dependents_change {
                true => reachable(graph.dependents(), paths),
                false => paths,
            };
            for path in paths {
                of_path[path][bit / u64::BITS as usize] |= 1 << (bit % u64::BITS as usize);
            }
        }
        Self { of_path, happened: count }
    }

    /// The weight of a set of events.
    fn weight(&self, events: &[u64]) -> u64 {
        let (happened, possible) = events.split_at(self.happened);
        let count =
            |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        count(happened) * HAPPENED + count(possible) * MAY_HAPPEN
    }

    /// The groups of paths that occur in the same events; if there are too many, small ones with
    /// similar events are one.
    fn start(&self, graph: &PathGraph) -> Vec<Group> {
        let mut groups: BTreeMap<&[u64], Group> = BTreeMap::new();
        for (path, events) in self.of_path.iter().enumerate() {
            let group = groups.entry(events).or_insert_with(|| Group::new(events));
            group.paths.push(path);
            // A path without a size still counts as something to ship.
            group.size += u128::from(graph.sizes()[path]) + 1;
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        if groups.len() > MAX_START {
            groups.sort_by_key(|group| Reverse(group.size));
            let mut small = groups.split_off(MAX_START / 2);
            small.sort_by(|a, b| a.events.cmp(&b.events));
            let chunk = small.len().div_ceil(MAX_START / 2);
            groups.extend(
                small.chunks(chunk).filter_map(|chunk| {
                    chunk.iter().cloned().reduce(|all, group| all.joined(&group))
                }),
            );
        }
        groups
    }
}

/// Paths in one layer, and the events that change any of them.
#[derive(Clone)]
struct Group {
    events: Vec<u64>,
    size: u128,
    paths: Vec<usize>,
}

impl Group {
    fn new(events: &[u64]) -> Self {
        Self { events: events.to_vec(), size: 0, paths: Vec::new() }
    }

    fn joined(mut self, other: &Self) -> Self {
        self.events.iter_mut().zip(&other.events).for_each(|(own, other)| *own |= other);
        self.size += other.size;
        self.paths.extend(&other.paths);
        self
    }

    fn cost(&self, events: &Events) -> u128 {
        self.size * u128::from(events.weight(&self.events))
    }
}

/// Merges groups until there are at most `limit`.
fn merged(groups: Vec<Group>, events: &Events, limit: usize) -> Vec<Group> {
    let extra = |a: &Group, b: &Group| {
        let union: Vec<u64> = a.events.iter().zip(&b.events).map(|(a, b)| a | b).collect();
        let together = (a.size + b.size) * u128::from(events.weight(&union));
        together.saturating_sub(a.cost(events) + b.cost(events))
    };
    let mut live: BTreeMap<usize, Group> = groups.into_iter().enumerate().collect();
    let mut next = live.len();
    let mut pairs = BinaryHeap::new();
    for (index, group) in &live {
        pairs.extend(
            live.range(..index).map(|(other, b)| Reverse((extra(group, b), *other, *index))),
        );
    }
    while live.len() > limit {
        let Some(Reverse((_, one, two))) = pairs.pop() else { break };
        if !live.contains_key(&one) || !live.contains_key(&two) {
            continue;
        }
        if let (Some(one), Some(two)) = (live.remove(&one), live.remove(&two)) {
            let union = one.joined(&two);
            pairs.extend(live.iter().map(|(other, b)| Reverse((extra(&union, b), *other, next))));
            live.insert(next, union);
            next += 1;
        }
    }
    live.into_values().collect()
}
