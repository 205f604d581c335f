//! The "popularity contest" of the Nix community: store paths that many others depend on get a
//! layer each, because other images are likely to share them.
//!
//! Think of the closure as a tree, unfolded from its roots, that repeats a path for each dependent.
//! The popularity of a path is the number of times that it and its direct and indirect dependents
//! occur in the tree, added up. (Graham Christensen, "Optimising Docker Layers for Better Caching
//! with Nix"; the numbers equal those of nixpkgs' `graph_popularity_contest`.) The tree is never
//! built: the occurrences are counted along the graph. Paths that depend on each other, a strongly
//! connected component (`scc`), count as one.

use std::collections::BTreeMap;

use num_bigint::BigUint;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::closure::{Closure, StorePath};

/// The paths of `closure`, most popular first; equally popular paths are sorted.
pub fn ranked(closure: &Closure) -> Vec<StorePath> {
    let mut counted: Vec<(BigUint, StorePath)> =
        popularity(closure).into_iter().map(|(path, count)| (count, path)).collect();
    counted.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.cmp(y)));
    counted.into_iter().map(|(_, path)| path).collect()
}

/// The popularity of each path. It grows exponentially with the depth of the graph, which takes big
/// integers.
pub fn popularity(closure: &Closure) -> BTreeMap<StorePath, BigUint> {
    let Components { members, references } = components(closure);
    let occurrences = occurrences(&references);
    let mut popularity: Vec<BigUint> = vec![BigUint::default(); references.len()];
    let mut visited_from = vec![usize::MAX; references.len()];
    for dependent in 0..references.len() {
        let mut pending = vec![dependent];
        visited_from[dependent] = dependent;
        while let Some(scc) = pending.pop() {
            popularity[scc] += &occurrences[dependent];
            for &next in &references[scc] {
                if visited_from[next] != dependent {
                    visited_from[next] = dependent;
                    pending.push(next);
                }
            }
        }
    }
    members
        .into_iter()
        .zip(popularity)
        .flat_map(|(paths, count)| paths.into_iter().map(move |path| (path, count.clone())))
        .collect()
}

/// The strongly connected components of a closure, dependents before dependencies.
struct Components {
    /// The paths of each component.
    members: Vec<Vec<StorePath>>,
    /// The other components that each component refers to.
    references: Vec<Vec<usize>>,
}

fn components(closure: &Closure) -> Components {
    let mut graph = DiGraph::<&StorePath, ()>::new();
    let nodes: BTreeMap<&StorePath, NodeIndex> =
        closure.paths().map(|path| (path, graph.add_node(path))).collect();
    for (path, references) in closure.iter() {
        for reference in references {
            graph.add_edge(nodes[path], nodes[reference], ());
        }
    }
    let mut sccs = tarjan_scc(&graph);
    sccs.reverse(); // petgraph returns dependencies first
    let mut scc_of = vec![0; graph.node_count()];
    for (index, scc) in sccs.iter().enumerate() {
        scc.iter().for_each(|node| scc_of[node.index()] = index);
    }
    let references = |(index, scc): (usize, &Vec<NodeIndex>)| {
        let mut others: Vec<usize> = scc
            .iter()
            .flat_map(|node| graph.neighbors(*node))
            .map(|node| scc_of[node.index()])
            .collect();
        others.sort_unstable();
        others.dedup();
        others.retain(|other| *other != index);
        others
    };
    let members = |scc: &Vec<NodeIndex>| scc.iter().map(|node| graph[*node].clone()).collect();
    Components {
        members: sccs.iter().map(members).collect(),
        references: sccs.iter().enumerate().map(references).collect(),
    }
}

/// The number of times that each component occurs in the tree: once if nothing refers to it, else
/// as often as all its dependents together.
fn occurrences(references: &[Vec<usize>]) -> Vec<BigUint> {
    let mut counts: Vec<BigUint> = vec![BigUint::default(); references.len()];
    for scc in 0..references.len() {
        if counts[scc] == BigUint::default() {
            counts[scc] = 1u32.into();
        }
        let count = counts[scc].clone();
        references[scc].iter().for_each(|&next| counts[next] += &count);
    }
    counts
}
