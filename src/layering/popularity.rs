//! The "popularity contest" of the Nix community: store paths that many others depend on get a
//! layer each, because other images are likely to share them.
//!
//! Think of the closure as a tree, unfolded from its roots, that repeats a path for each dependent.
//! The popularity of a path is the number of times that it and its direct and indirect dependents
//! occur in the tree, added up. (Graham Christensen, "Optimising Docker Layers for Better Caching
//! with Nix"; the numbers equal those of nixpkgs' `graph_popularity_contest`.) The tree is never
//! built: the occurrences are counted along the graph. Paths that depend on each other, a strongly
//! connected component (`scc`), count as one.

use std::collections::{BTreeMap, HashMap};

use num_bigint::BigUint;
use petgraph::algo::kosaraju_scc;
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
    let popularity = sums_over_dependents(&references, &occurrences);
    members
        .into_iter()
        .zip(popularity)
        .flat_map(|(paths, count)| paths.into_iter().map(move |path| (path, count.clone())))
        .collect()
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
        references[scc].iter().for_each(|&next| add(&mut counts[next], &count));
    }
    counts
}
