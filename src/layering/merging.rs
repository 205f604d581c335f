//! A search for the layers that ship the fewest bytes, over the events that change paths.
//!
//! An event is a set of paths that change together. Some have happened: the updates of earlier
//! builds. For what did not happen yet, every release of a package is an event that may happen,
//! with a small weight: paths of the same source, or with the same
//! version, are mostly of one release. Where whatever
//! depends on a changed path changes too, as in Nix stores, it does so in all events.
//!
//! A layer costs its size times the weight of all events that change anything in it. The search
//! begins with a layer for each set of paths that occur in the same events, and merges the two
//! layers whose union costs the least more, until there are few enough.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::graph::{PathGraph, reachable};

/// The weight of an event that happened, and of one that may happen.
const HAPPENED: u64 = 5;
const MAY_HAPPEN: u64 = 1;
/// The most events that may happen: each path has a bit for each event. If there are more releases,
/// several share an event.
const MAX_POSSIBLE: usize = 1024;
/// The most layers that the search begins with; it takes time and memory by the square.
const MAX_START: usize = 1500;

/// Splits the paths of `graph` into at most `limit` layers; those that change the least are lowest.
/// `happened` has the paths that events changed directly.
pub(super) fn layers(
    graph: &PathGraph,
    happened: &[Vec<usize>],
    dependents_change: bool,
    limit: usize,
) -> Vec<Vec<usize>> {
    let events = Events::new(graph, happened, dependents_change);
    let mut layers = merged(events.start(graph), &events, limit);
    layers.sort_by_cached_key(|layer| (events.weight(&layer.events), layer.paths.clone()));
    layers.into_iter().map(|layer| layer.paths).collect()
}

/// The events of a graph. Those that happened come first in a set of events, in whole words.
struct Events {
    /// The set of events that change each path.
    of_path: Vec<Vec<u64>>,
    /// The number of words for events that happened.
    happened: usize,
}

impl Events {
    fn new(graph: &PathGraph, happened: &[Vec<usize>], dependents_change: bool) -> Self {
        let mut releases: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for number in 0..graph.len() {
            releases.entry(graph.release(number)).or_default().push(number);
        }
        let shared = releases.len().div_ceil(MAX_POSSIBLE).max(1);
        let releases: Vec<Vec<usize>> = releases.into_values().collect();
        let possible: Vec<Vec<usize>> = releases.chunks(shared).map(<[_]>::concat).collect();
        let words = |count: usize| count.div_ceil(u64::BITS as usize);
        let count = words(happened.len());
        let mut of_path = vec![vec![0; count + words(possible.len())]; graph.len()];
        let happened = (0..).zip(happened.iter().cloned());
        let possible = (count * u64::BITS as usize..).zip(possible);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closure::{Graph, StoreDir};

    #[test]
    fn the_memory_for_events_is_limited_whatever_the_number_of_versions() {
        let dir = StoreDir::new("/nix/store").unwrap();
        let mut graph = Graph::default();
        let paths: Vec<_> = (0..5000)
            .map(|number| dir.path(&format!("/nix/store/{number:032x}-p-{number}.1")).unwrap())
            .collect();
        for path in &paths {
            graph.add(path.clone(), Vec::new(), Some(1)).unwrap();
        }
        let roots = paths.into_iter().map(|path| (String::new(), path));
        let closure = graph.closure(roots).unwrap();
        let graph = PathGraph::new(&closure, |_| 1);
        let events = Events::new(&graph, &[], true);
        let most = MAX_POSSIBLE.div_ceil(u64::BITS as usize);
        assert!(events.of_path.iter().all(|bits| bits.len() <= most));
        // Each path is still in an event.
        assert!(events.of_path.iter().all(|bits| events.weight(bits) == MAY_HAPPEN));
        assert_eq!(layers(&graph, &[], true, 40).concat().len(), 5000);
    }
}
