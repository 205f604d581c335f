//! The "popularity contest" of the Nix community: paths that much depends upon get a layer of their own,
//! because they are the ones that other images share.
//!
//! Unfold the closure from its roots into a tree. A path's popularity is the sum, over itself and every
//! path that depends on it directly or not, of how often that path occurs in the tree. (Graham
//! Christensen, "Optimising Docker Layers for Better Caching with Nix"; the counts equal those of nixpkgs'
//! `graph_popularity_contest`.) The tree is never built: occurrences are counted along the graph. Paths
//! that depend on each other in a cycle count as one.

use std::collections::BTreeMap;

use num_bigint::BigUint;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::closure::{Closure, StorePath};

/// The paths of `closure`, most popular first; equally popular ones by path.
pub fn ranked(closure: &Closure) -> Vec<StorePath> {
    let mut counted: Vec<(BigUint, StorePath)> =
        popularity(closure).into_iter().map(|(path, count)| (count, path)).collect();
    counted.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.cmp(y)));
    counted.into_iter().map(|(_, path)| path).collect()
}

/// Every path's popularity. The counts grow exponentially with depth, hence the big integers.
pub fn popularity(closure: &Closure) -> BTreeMap<StorePath, BigUint> {
    let (knots, members) = acyclic(closure);
    let occurrences = occurrences(&knots);
    let mut popularity: Vec<BigUint> = vec![BigUint::default(); knots.len()];
    let mut seen_by = vec![usize::MAX; knots.len()];
    for ancestor in 0..knots.len() {
        let mut waiting = vec![ancestor];
        seen_by[ancestor] = ancestor;
        while let Some(knot) = waiting.pop() {
            popularity[knot] += &occurrences[ancestor];
            for &next in &knots[knot] {
                if seen_by[next] != ancestor {
                    seen_by[next] = ancestor;
                    waiting.push(next);
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

/// The closure with each cycle drawn together into one knot: what every knot refers to (dependents before
/// dependencies), and which paths it stands for.
fn acyclic(closure: &Closure) -> (Vec<Vec<usize>>, Vec<Vec<StorePath>>) {
    let mut graph = DiGraph::<&StorePath, ()>::new();
    let nodes: BTreeMap<&StorePath, NodeIndex> =
        closure.paths().map(|path| (path, graph.add_node(path))).collect();
    for (path, references) in closure.iter() {
        for reference in references {
            graph.add_edge(nodes[path], nodes[reference], ());
        }
    }
    let mut cycles = tarjan_scc(&graph);
    cycles.reverse(); // petgraph gives dependencies first
    let mut knot_of = vec![0; graph.node_count()];
    for (knot, cycle) in cycles.iter().enumerate() {
        cycle.iter().for_each(|node| knot_of[node.index()] = knot);
    }
    let references = |(knot, cycle): (usize, &Vec<NodeIndex>)| {
        let mut to: Vec<usize> = cycle
            .iter()
            .flat_map(|node| graph.neighbors(*node))
            .map(|next| knot_of[next.index()])
            .collect();
        to.sort_unstable();
        to.dedup();
        to.retain(|next| *next != knot);
        to
    };
    let knots = cycles.iter().enumerate().map(references).collect();
    let members = cycles
        .iter()
        .map(|cycle| cycle.iter().map(|node| graph[*node].clone()).collect())
        .collect();
    (knots, members)
}

/// How often each knot occurs in the tree: once if nothing refers to it, else as often as all its
/// dependents together.
fn occurrences(knots: &[Vec<usize>]) -> Vec<BigUint> {
    let mut counts: Vec<BigUint> = vec![BigUint::default(); knots.len()];
    for knot in 0..knots.len() {
        if counts[knot] == BigUint::default() {
            counts[knot] = 1u32.into();
        }
        let count = counts[knot].clone();
        knots[knot].iter().for_each(|&next| counts[next] += &count);
    }
    counts
}
