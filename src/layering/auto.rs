//! The strategy `auto`, the default of nixpkgs' dockerTools: large store paths get a layer each,
//! together with everything that only they need.
//!
//! Most closures have a few large paths and many small ones, so images share the most bytes if a
//! large path is in a layer of its own. The largest path becomes the *primary* path of a layer,
//! then the next largest, until one more would exceed the number of layers. A path that is needed
//! by several primary paths goes into a layer for exactly this set of primary paths. Whatever no
//! primary path needs shares one layer. (nixpkgs `pkgs/build-support/docker/auto-layer.py`, whose
//! result this is, path by path. nixpkgs leaves the order of layers with equal closure sizes open;
//! here, the first path by name decides.)

use std::collections::{BTreeMap, HashMap};

use super::graph::{PathGraph, reachable};
use crate::closure::StorePath;

/// A set of primary paths, a bit for each. Every primary path has a layer, and there are fewer
/// layers than bits.
type Primaries = u128;

/// Splits `graph` into at most `available` layers, lowest first; at most 128.
pub(super) fn layers(graph: &PathGraph, available: usize) -> Vec<Vec<StorePath>> {
    if available == 0 {
        return Vec::new();
    }
    let owners = owners(graph, available.min(Primaries::BITS as usize));
    let mut layers: BTreeMap<Primaries, Vec<usize>> = BTreeMap::new();
    for (path, owners) in owners.into_iter().enumerate() {
        layers.entry(owners).or_default().push(path);
    }
    graph.named(graph.sorted_by_closure(layers.into_values()))
}

/// For each path, the set of primary paths that identifies its layer.
fn owners(graph: &PathGraph, limit: usize) -> Vec<Primaries> {
    let mut owners: Vec<Primaries> = vec![0; graph.len()];
    // The primary path with each bit, which is its rank.
    let mut rank: HashMap<usize, u32> = HashMap::new();
    for primary in (0..graph.len()).rev() {
        let bit = rank.len() as u32;
        if bit == Primaries::BITS {
            break;
        }
        rank.insert(primary, bit);
        let own: Primaries = 1 << bit;
        let others = |edges: &[Vec<usize>]| {
            let mut found = reachable(edges, [primary]);
            found.retain(|path| *path != primary);
            found
        };
        let primaries_in = |paths: &[usize]| {
            paths.iter().filter_map(|path| rank.get(path)).fold(0, |set, bit| set | 1 << bit)
        };
        let dependencies = others(graph.references());
        let above: Primaries = primaries_in(&others(graph.dependents()));
        let below: Primaries = primaries_in(&dependencies);
        let mut split = owners.clone();
        split[primary] = own;
        for path in dependencies {
            split[path] &= !above;
            if split[path] & below == 0 {
                split[path] |= own;
            }
        }
        let mut sets: Vec<Primaries> = split.clone();
        sets.sort_unstable();
        sets.dedup();
        if sets.len() > limit {
            break;
        }
        owners = split;
    }
    owners
}
