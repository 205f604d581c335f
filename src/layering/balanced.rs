//! The strategy `balanced`: what changes together shares a layer, and the larger something is, the
//! less it shares its layer with.
//!
//! A layer is transferred again whenever anything in it changes, so its cost is its size times the
//! number of things in it that change at different times. Paths of the same source, or with the
//! same version, are mostly of one release and count as one thing, except those that are larger
//! than an average layer. Sorted by size, the things are cut into as many layers as there may be,
//! where the sum of all costs is the least: in the end, large things are alone and small ones share
//! a layer with many.
//!
//! An update must not move other paths to other layers. Therefore sizes count as the next power of
//! two only, and things of equal size are sorted by name.
//!
//! In a Nix store, whatever depends on something that changes is rebuilt and changes, too. So it
//! depends on references which things change together, and layers are searched for by [`merging`].

use std::collections::BTreeMap;

use super::graph::PathGraph;
use super::{merging, package};
use crate::closure::StorePath;

/// Sizes count in units of this many bytes: about what a file takes in a tar at least.
const UNIT: u64 = 1024;
/// The length of the hash in the name of a Nix store path.
const HASH: usize = 32;
/// The largest size that counts in units, so that costs fit.
const SIZE_MAX: u64 = 1 << 32;

/// Paths that change together.
struct Item<'g> {
    /// The size in units, a power of two.
    size: u64,
    /// The first name of a package, with its path.
    name: Option<(String, &'g StorePath)>,
    paths: Vec<usize>,
}

/// Splits `graph` into at most `available` layers, lowest first.
pub(super) fn layers(graph: &PathGraph, available: usize) -> Vec<Vec<StorePath>> {
    if !graph.is_empty() && graph.paths().iter().all(is_of_nix) {
        return graph.named(merging::layers(graph, &[], true, available.max(1)));
    }
    let mut items = items(graph, available);
    items.sort_by(|a, b| (a.size, &a.name).cmp(&(b.size, &b.name)));
    let sizes: Vec<u64> = items.iter().map(|item| item.size).collect();
    let mut items = items.into_iter();
    let layers = lengths(&sizes, available).into_iter().map(|length| {
        items.by_ref().take(length).flat_map(|item| item.paths).collect::<Vec<usize>>()
    });
    graph.named(graph.sorted_by_closure(layers))
}

/// Whether `path` has a hash in its name, as in the stores of Nix and Guix.
fn is_of_nix(path: &StorePath) -> bool {
    let hash = path.name().split_once('-').map_or("", |(hash, _)| hash);
    hash.len() == HASH && hash.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The paths of `graph` by release. Those without a known one, or that are larger than an average
/// layer, are on their own.
fn items(graph: &PathGraph, available: usize) -> Vec<Item<'_>> {
    let total: u64 = graph.sizes().iter().fold(0, |sum, size| sum.saturating_add(*size));
    let average = units(total / available.max(1) as u64);
    let mut releases: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut items = Vec::new();
    for (number, size) in graph.sizes().iter().enumerate() {
        let release = graph.release(number);
        match release.is_empty() || units(*size) > average {
            true => items.push(Item::new(graph, vec![number])),
            false => releases.entry(release).or_default().push(number),
        }
    }
    items.extend(releases.into_values().map(|paths| Item::new(graph, paths)));
    items
}

impl<'g> Item<'g> {
    fn new(graph: &'g PathGraph, paths: Vec<usize>) -> Self {
        let size = |sum: u64, path: &usize| sum.saturating_add(graph.sizes()[*path]);
        let names = paths.iter().map(|path| {
            let path = &graph.paths()[*path];
            (package::name(path), path)
        });
        Self { size: units(paths.iter().fold(0, size)), name: names.min(), paths }
    }
}

/// `size` in units, rounded up to a power of two.
fn units(size: u64) -> u64 {
    size.div_ceil(UNIT).clamp(1, SIZE_MAX).next_power_of_two()
}

/// Cuts items of the given sizes, which are sorted, into at most `limit` runs, for which the sum of
/// size times length is the least. Returns the length of each run.
///
/// The best end of the last run but one never moves back if items are added, which allows to find
/// the ends for all numbers of items by divide and conquer.
fn lengths(sizes: &[u64], limit: usize) -> Vec<usize> {
    if sizes.len() <= limit {
        return vec![1; sizes.len()];
    }
    let mut sums = vec![0];
    sums.extend(sizes.iter().scan(0_u64, |sum, size| {
        *sum = sum.saturating_add(*size);
        Some(*sum)
    }));
    let first: Vec<u64> = (0..sums.len()).map(|end| cost(&sums, 0, end)).collect();
    let mut table = Table { sums, costs: first, next: Vec::new(), begins: Vec::new() };
    let mut begins = Vec::new();
    for _ in 1..limit {
        let count = table.costs.len();
        (table.next, table.begins) = (vec![0; count], vec![0; count]);
        table.fill(0, count, 0, count - 1);
        table.costs = std::mem::take(&mut table.next);
        begins.push(std::mem::take(&mut table.begins));
    }
    let mut end = sizes.len();
    let mut lengths = Vec::new();
    for begins in begins.iter().rev() {
        lengths.push(end - begins[end]);
        end = begins[end];
    }
    lengths.push(end);
    lengths.retain(|length| *length > 0);
    lengths.reverse();
    lengths
}

/// The cost of one run, by the sums of the sizes before each item.
fn cost(sums: &[u64], begin: usize, end: usize) -> u64 {
    (sums[end] - sums[begin]).saturating_mul((end - begin) as u64)
}

/// The least costs of the first items, for each number of items.
struct Table {
    sums: Vec<u64>,
    /// With one run less.
    costs: Vec<u64>,
    next: Vec<u64>,
    /// Where the last run begins.
    begins: Vec<usize>,
}

impl Table {
    /// Fills in the numbers of items from `low` to before `high`, for which the last run begins
    /// between `first` and `last`.
    fn fill(&mut self, low: usize, high: usize, first: usize, last: usize) {
        if low >= high {
            return;
        }
        let middle = low.midpoint(high);
        let of = |begin: usize| self.costs[begin].saturating_add(cost(&self.sums, begin, middle));
        let costs = (first..=last.min(middle)).map(|begin| (of(begin), begin));
        let Some((least, begin)) = costs.min() else { return };
        (self.next[middle], self.begins[middle]) = (least, begin);
        self.fill(low, middle, first, begin);
        self.fill(middle + 1, high, begin, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least cost of all ways to cut `sizes` into at most `limit` runs, found by trying all.
    fn least(sizes: &[u64], limit: usize) -> u64 {
        let total = |run: &[u64]| run.iter().sum::<u64>() * run.len() as u64;
        if limit == 1 || sizes.is_empty() {
            return total(sizes);
        }
        let cuts = 1..=sizes.len();
        cuts.map(|cut| total(&sizes[..cut]) + least(&sizes[cut..], limit - 1)).min().unwrap()
    }

    #[test]
    fn the_runs_have_the_least_cost_of_all() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let count = 1 + random(9) as usize;
            let mut sizes: Vec<u64> = (0..count).map(|_| 1 << random(12)).collect();
            sizes.sort_unstable();
            let limit = 1 + random(5) as usize;
            let lengths = lengths(&sizes, limit);
            assert!(lengths.len() <= limit);
            assert_eq!(lengths.iter().sum::<usize>(), count);
            let mut rest = &sizes[..];
            let costs = lengths.iter().map(|length| {
                let (run, after) = rest.split_at(*length);
                rest = after;
                run.iter().sum::<u64>() * run.len() as u64
            });
            assert_eq!(costs.sum::<u64>(), least(&sizes, limit), "{sizes:?} in {limit}");
        }
    }
}
