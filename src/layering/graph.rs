//! The graph that strategies split: store paths by number, with their sizes.

use std::collections::BTreeMap;

use super::package;
use crate::closure::{Closure, StorePath};

/// Store paths with their sizes and references. A path's number is its rank by size, smallest
/// first; paths of equal size are sorted. nixpkgs stores graphs in the same order.
#[derive(Clone, Debug, Default)]
pub struct PathGraph {
    paths: Vec<StorePath>,
    sizes: Vec<u64>,
    references: Vec<Vec<usize>>,
    dependents: Vec<Vec<usize>>,
    /// The sources of the paths whose sources are known.
    sources: BTreeMap<usize, String>,
}

impl PathGraph {
    /// The graph of `closure`; `size` returns the size of a path in bytes.
    pub fn new(closure: &Closure, size: impl Fn(&StorePath) -> u64) -> Self {
        let mut sorted: Vec<(u64, &StorePath)> =
            closure.paths().map(|path| (size(path), path)).collect();
        sorted.sort_unstable();
        let numbers: BTreeMap<&StorePath, usize> =
            sorted.iter().enumerate().map(|(number, (_, path))| (*path, number)).collect();
        let mut references = vec![Vec::new(); sorted.len()];
        let mut dependents = vec![Vec::new(); sorted.len()];
        for (path, to) in closure.iter() {
            let from = numbers[path];
            for to in to.iter().filter_map(|to| numbers.get(to)) {
                references[from].push(*to);
                dependents[*to].push(from);
            }
        }
        let (sizes, paths) = sorted.into_iter().map(|(size, path)| (size, path.clone())).unzip();
        Self { paths, sizes, references, dependents, sources: BTreeMap::new() }
    }

    /// The graph with the names of what the paths are built from, as far as they are known. Paths
    /// of the same source are released together.
    #[must_use]
    pub fn with_sources(mut self, sources: &BTreeMap<StorePath, String>) -> Self {
        let known = self.paths.iter().enumerate();
        let known = known.filter_map(|(number, path)| Some((number, sources.get(path)?.clone())));
        self.sources = known.collect();
        self
    }

    /// The name of the release that a path belongs to: its source, or else its version, because
    /// paths with the same version are mostly of one package. Empty if both are unknown.
    pub(super) fn release(&self, number: usize) -> String {
        let source = self.sources.get(&number).cloned();
        source.unwrap_or_else(|| package::version(&self.paths[number]))
    }

    /// The number of paths.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are no paths.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The paths, by number.
    pub fn paths(&self) -> &[StorePath] {
        &self.paths
    }

    /// The sizes of the paths in bytes, by number.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// The paths that each path refers to, by number.
    pub fn references(&self) -> &[Vec<usize>] {
        &self.references
    }

    /// The paths that refer to each path, by number.
    pub fn dependents(&self) -> &[Vec<usize>] {
        &self.dependents
    }

    /// Sorts layers by the sizes of their closures. A closure is larger than those in it, so layers
    /// come after those that they depend on.
    pub(super) fn sorted_by_closure(
        &self,
        layers: impl IntoIterator<Item = Vec<usize>>,
    ) -> impl Iterator<Item = Vec<usize>> {
        let keyed = layers.into_iter().map(|layer| {
            let closure = reachable(&self.references, layer.iter().copied());
            let size: u64 =
                closure.iter().fold(0, |sum, path| sum.saturating_add(self.sizes[*path]));
            let first = layer.iter().map(|path| name_key(&self.paths[*path])).min();
            (size, first, layer)
        });
        let mut ordered: Vec<_> = keyed.collect();
        ordered.sort_unstable();
        ordered.into_iter().map(|(_, _, layer)| layer)
    }

    /// Replaces numbers by paths, sorted within each layer. Empty layers are left out.
    pub(super) fn named(
        &self,
        layers: impl IntoIterator<Item = Vec<usize>>,
    ) -> Vec<Vec<StorePath>> {
        let named = |layer: Vec<usize>| {
            let mut paths: Vec<StorePath> =
                layer.into_iter().map(|number| self.paths[number].clone()).collect();
            paths.sort_unstable();
            paths
        };
        layers.into_iter().filter(|layer| !layer.is_empty()).map(named).collect()
    }
}

/// Every number that is reachable from `start` along `edges`, with `start`, in no particular order.
pub(super) fn reachable(
    edges: &[Vec<usize>],
    start: impl IntoIterator<Item = usize>,
) -> Vec<usize> {
    let mut seen = vec![false; edges.len()];
    let mut found: Vec<usize> =
        start.into_iter().filter(|number| !std::mem::replace(&mut seen[*number], true)).collect();
    let mut next = 0;
    while let Some(number) = found.get(next).copied() {
        next += 1;
        found.extend(edges[number].iter().filter(|to| !std::mem::replace(&mut seen[**to], true)));
    }
    found
}

/// The key that sorts store paths by name before hash, so that the order survives a rebuild that
/// changes only hashes.
fn name_key(path: &StorePath) -> (&str, &str) {
    let (hash, name) = path.name().split_once('-').unwrap_or((path.name(), ""));
    (name, hash)
}
