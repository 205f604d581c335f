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
    layers.sort_by_cached_key(|layer| {
        (events.weight(layer.events.iter().copied()), layer.paths.clone())
    });
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
    fn weight(&self, events: impl Iterator<Item = u64>) -> u64 {
        let weight = |at| if at < self.happened { HAPPENED } else { MAY_HAPPEN };
        let count = |(at, word): (usize, u64)| u64::from(word.count_ones()) * weight(at);
        events.enumerate().map(count).sum()
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
}

/// Merges groups until there are at most `limit`.
fn merged(groups: Vec<Group>, events: &Events, limit: usize) -> Vec<Group> {
    let mut search = Search { events, groups: Vec::new(), queue: BinaryHeap::new() };
    groups.into_iter().for_each(|group| search.add(group));
    for _ in limit..search.groups.len() {
        let Some((one, two)) = search.cheapest_pair() else { break };
        if let (Some(one), Some(two)) = (search.groups[one].take(), search.groups[two].take()) {
            search.add(one.group.joined(&two.group));
        }
    }
    search.groups.into_iter().flatten().map(|candidate| candidate.group).collect()
}

/// How many of a group's cheapest partners are known at a time.
const PARTNERS: usize = 16;

/// The groups that are left, and the cheapest pair of each with a group before it. Only removing
/// groups changes which pair that is, since new groups are last: what the queue has is never more
/// than the cheapest cost.
struct Search<'a> {
    events: &'a Events,
    /// Merged groups are gone.
    groups: Vec<Option<Candidate>>,
    /// The extra cost of a pair, and its two groups, the later one last.
    queue: BinaryHeap<Reverse<(u128, usize, usize)>>,
}

/// A group, and what it costs as a layer.
struct Candidate {
    group: Group,
    cost: u128,
    /// The cheapest partners before it, with the extra cost of each; the cheapest is last.
    partners: Vec<(u128, usize)>,
}

impl Search<'_> {
    /// Adds a group after all others.
    fn add(&mut self, group: Group) {
        let cost = group.size * u128::from(self.events.weight(group.events.iter().copied()));
        let index = self.groups.len();
        self.groups.push(Some(Candidate { group, cost, partners: Vec::new() }));
        self.enqueue(index);
    }

    /// Removes the two groups from the queue whose union costs the least more, and returns them.
    fn cheapest_pair(&mut self) -> Option<(usize, usize)> {
        loop {
            let Reverse((_, one, two)) = self.queue.pop()?;
            if self.groups[two].is_none() {
                continue;
            }
            if self.groups[one].is_some() {
                return Some((one, two));
            }
            self.enqueue(two);
        }
    }

    /// Adds the cheapest pair of the group `index` with a group before it to the queue.
    fn enqueue(&mut self, index: usize) {
        let Some(mut candidate) = self.groups[index].take() else { return };
        while candidate.partners.pop_if(|(_, other)| self.groups[*other].is_none()).is_some() {}
        if candidate.partners.is_empty() {
            candidate.partners = self.partners(&candidate, index);
        }
        let cheapest = candidate.partners.last();
        self.queue.extend(cheapest.map(|(extra, other)| Reverse((*extra, *other, index))));
        self.groups[index] = Some(candidate);
    }

    /// The cheapest partners of `candidate` among the groups before `index`.
    fn partners(&self, candidate: &Candidate, index: usize) -> Vec<(u128, usize)> {
        let live = self.groups[..index].iter().enumerate();
        let live = live.filter_map(|(other, group)| Some((other, group.as_ref()?)));
        let mut all: Vec<_> =
            live.map(|(other, group)| (self.extra(group, candidate), other)).collect();
        if all.len() > PARTNERS {
            all.select_nth_unstable(PARTNERS);
            all.truncate(PARTNERS);
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        all
    }

    /// The extra cost of the union of two groups.
    fn extra(&self, a: &Candidate, b: &Candidate) -> u128 {
        let union = a.group.events.iter().zip(&b.group.events).map(|(a, b)| a | b);
        let together = (a.group.size + b.group.size) * u128::from(self.events.weight(union));
        together.saturating_sub(a.cost + b.cost)
    }
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
        assert!(
            events.of_path.iter().all(|bits| events.weight(bits.iter().copied()) == MAY_HAPPEN)
        );
        assert_eq!(layers(&graph, &[], true, 40).concat().len(), 5000);
    }

    /// The definition of the search: the cheapest of all pairs is merged, again and again.
    fn merged_by_trying_all(groups: &[Group], happened: usize, limit: usize) -> Vec<Vec<usize>> {
        let cost = |group: &Group| {
            let bits = |words: &[u64]| words.iter().map(|word| word.count_ones()).sum::<u32>();
            let (happened, possible) = group.events.split_at(happened);
            group.size * u128::from(5 * bits(happened) + bits(possible))
        };
        let mut groups: Vec<Option<Group>> = groups.iter().cloned().map(Some).collect();
        while groups.iter().flatten().count() > limit {
            let mut best: Option<(u128, usize, usize)> = None;
            for (two, b) in groups.iter().enumerate() {
                for (one, a) in groups[..two].iter().enumerate() {
                    let (Some(a), Some(b)) = (a, b) else { continue };
                    let extra = cost(&a.clone().joined(b)) - cost(a) - cost(b);
                    let pair = (extra, one, two);
                    best = Some(best.map_or(pair, |best| best.min(pair)));
                }
            }
            let (_, one, two) = best.unwrap();
            let (one, two) = (groups[one].take().unwrap(), groups[two].take().unwrap());
            groups.push(Some(one.joined(&two)));
        }
        groups.into_iter().flatten().map(|group| group.paths).collect()
    }

    #[test]
    fn the_cheapest_pair_is_merged_again_and_again() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for (count, sizes, bits) in [(120, 1_000_000, 40), (90, 10, 128), (60, 1, 3), (3, 5, 5)] {
            let group = |path| {
                let size = u128::from(random(sizes)) + 1;
                let mut words = [0; 2];
                (0..=random(3)).map(|_| random(bits)).for_each(|bit| {
                    words[(bit / 64) as usize] |= 1 << (bit % 64);
                });
                Group { events: words.to_vec(), size, paths: vec![path] }
            };
            let groups: Vec<Group> = (0..count).map(group).collect();
            let events = Events { of_path: Vec::new(), happened: 1 };
            let found = merged(groups.clone(), &events, 7);
            let found: Vec<Vec<usize>> = found.into_iter().map(|group| group.paths).collect();
            assert_eq!(found, merged_by_trying_all(&groups, 1, 7), "{count} groups");
        }
    }
}
