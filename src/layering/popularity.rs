//! The "popularity contest" of the Nix community: store paths that many others depend on get a
//! layer each, because other images are likely to share them.
//!
//! Think of the closure as a tree, unfolded from its roots, that repeats a path for each dependent.
//! The popularity of a path is the number of times that it and its direct and indirect dependents
//! occur in the tree, added up. (Graham Christensen, "Optimising Docker Layers for Better Caching
//! with Nix"; the numbers equal those of nixpkgs' `graph_popularity_contest`.) The tree is never
//! built: the occurrences are counted along the graph. Paths that depend on each other, a strongly
//! connected component (`scc`), count as one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use num_bigint::BigUint;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::graph::PathGraph;
use crate::closure::{Closure, StorePath};

/// The paths of `closure`, most popular first. Equally popular paths are sorted by name before
/// hash, so that a rebuild that changes only hashes keeps the order.
pub fn ranked(closure: &Closure) -> Vec<StorePath> {
    let graph = PathGraph::new(closure, |_| 0);
    let all: Vec<usize> = (0..graph.len()).collect();
    ranked_among(&graph, &all, graph.references())
        .into_iter()
        .map(|path| graph.paths()[path].clone())
        .collect()
}

/// The numbers `paths`, most popular first; `references` are those of each of `paths`, as positions
/// in `paths`.
pub(super) fn ranked_among(
    graph: &PathGraph,
    paths: &[usize],
    references: &[Vec<usize>],
) -> Vec<usize> {
    let key = |path: usize| tie_key(&graph.paths()[path]);
    let counts = counts(references).into_iter().map(Reverse);
    let mut counted: Vec<(Reverse<BigUint>, String, usize)> =
        counts.zip(paths).map(|(count, path)| (count, key(*path), *path)).collect();
    counted.sort_unstable();
    counted.into_iter().map(|(_, _, path)| path).collect()
}

/// The text by which nixpkgs sorts equally popular paths: that up to the first dash comes last.
fn tie_key(path: &StorePath) -> String {
    match path.as_str().split_once('-') {
        Some((start, name)) => format!("{name}-{start}"),
        None => path.as_str().to_owned(),
    }
}

/// The popularity of each path. It grows exponentially with the depth of the graph, which takes big
/// integers.
pub fn popularity(closure: &Closure) -> BTreeMap<StorePath, BigUint> {
    let graph = PathGraph::new(closure, |_| 0);
    graph.paths().iter().cloned().zip(counts(graph.references())).collect()
}

/// The popularity of each path of a graph, whose paths refer to those in `references`.
fn counts(references: &[Vec<usize>]) -> Vec<BigUint> {
    let Components { members, references: between } = components(references);
    let occurrences = occurrences(&between);
    let popularity = sums_over_dependents(&between, &occurrences);
    let mut counts = vec![BigUint::default(); references.len()];
    for (paths, count) in members.into_iter().zip(popularity) {
        for path in paths {
            counts[path] = count.clone();
        }
    }
    counts
}

/// The number of components whose dependencies are computed together: the bits of a word.
const BLOCK: usize = u64::BITS as usize;

/// The sum of `occurrences` over each component and all its direct and indirect dependents. The
/// components are numbered from dependents to dependencies.
///
/// The dependencies of a block of components are computed in one pass over the graph, as a word of
/// bits for each component. Few different words occur, so most sums are computed once for a block.
/// A component with one dependent needs no sum: it has the same dependents and that one.
fn sums_over_dependents(references: &[Vec<usize>], occurrences: &[BigUint]) -> Vec<BigUint> {
    let count = references.len();
    let mut dependents: Vec<usize> = vec![0; count];
    let mut only_dependent = vec![0; count];
    for (scc, next) in references.iter().enumerate() {
        for &next in next {
            dependents[next] += 1;
            only_dependent[next] = scc;
        }
    }
    let mut sums: Vec<BigUint> = vec![BigUint::default(); count];
    for start in (0..count).step_by(BLOCK) {
        let block = &occurrences[start..count.min(start + BLOCK)];
        let mut reached: Vec<u64> = vec![0; count - start];
        (0..block.len()).for_each(|bit| reached[bit] |= 1 << bit);
        let mut sums_of_words: HashMap<u64, BigUint> = HashMap::new();
        for scc in start..count {
            let word = reached[scc - start];
            if word == 0 {
                continue;
            }
            references[scc].iter().for_each(|&next| reached[next - start] |= word);
            if dependents[scc] != 1 {
                let sum = sums_of_words.entry(word).or_insert_with(|| {
                    (0..block.len()).filter(|bit| word >> bit & 1 == 1).map(|bit| &block[bit]).sum()
                });
                add(&mut sums[scc], sum);
            }
        }
    }
    for scc in (0..count).filter(|scc| dependents[*scc] == 1) {
        let mut sum = sums[only_dependent[scc]].clone();
        add(&mut sum, &occurrences[scc]);
        sums[scc] = sum;
    }
    sums
}

/// The number of bits up to which counts are exact. A closure of real packages has a few hundred.
const MAX_BITS: u64 = 4096;

/// Adds `more` to `count`, up to a maximum that bounds the memory of all counts.
fn add(count: &mut BigUint, more: &BigUint) {
    *count += more;
    if count.bits() > MAX_BITS {
        *count = BigUint::from(1u32) << MAX_BITS;
    }
}

/// The strongly connected components of a graph, dependents before dependencies.
struct Components {
    /// The paths of each component.
    members: Vec<Vec<usize>>,
    /// The other components that each component refers to.
    references: Vec<Vec<usize>>,
}

fn components(paths: &[Vec<usize>]) -> Components {
    let mut graph = DiGraph::<(), ()>::new();
    let nodes: Vec<NodeIndex> = paths.iter().map(|_| graph.add_node(())).collect();
    for (path, references) in paths.iter().enumerate() {
        for reference in references {
            graph.add_edge(nodes[path], nodes[*reference], ());
        }
    }
    // Tarjan's algorithm in petgraph is recursive, and a long cycle overflows the stack.
    let mut sccs = kosaraju_scc(&graph);
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
    let members = |scc: &Vec<NodeIndex>| scc.iter().map(|node| node.index()).collect();
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
        references[scc].iter().for_each(|&next| add(&mut counts[next], &count));
    }
    counts
}
