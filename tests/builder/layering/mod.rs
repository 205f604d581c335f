//! Strategies and pipelines: on graphs, and in recipes.

mod balanced; // the strategy of our own
mod limits; // large graphs, too many layers
mod nixpkgs; // the examples of nixpkgs, and another implementation
mod recipes; // the layers of recipes, mistakes in them

use std::collections::BTreeMap;

use seatrial::closure::{Closure, Graph, StoreDir, StorePath};
use seatrial::layering::{PathGraph, Pipeline, Strategy};
use serde_json::Value;

/// The graph of paths named in `nodes`, each with its references and its size.
pub fn graph(nodes: &[(String, Vec<String>, u64)]) -> PathGraph {
    let dir = StoreDir::new("/nix/store").unwrap();
    let path = |name: &String| dir.path(&format!("/nix/store/{name}")).unwrap();
    let mut graph = Graph::default();
    for (name, references, size) in nodes {
        graph.add(path(name), references.iter().map(path), Some(*size)).unwrap();
    }
    let roots = nodes.iter().map(|(name, ..)| (String::new(), path(name)));
    let closure: Closure = graph.closure(roots).unwrap();
    PathGraph::new(&closure, |path: &StorePath| closure.nar_size(path).unwrap())
}

/// A graph of edges and single paths, as the tests of nixpkgs write it.
pub fn edges(edges: &[(&str, &str)], alone: &[&str]) -> PathGraph {
    let mut nodes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (from, to) in edges {
        nodes.entry(to).or_default();
        nodes.entry(from).or_default().push((*to).to_owned());
    }
    nodes.extend(alone.iter().map(|name| (*name, Vec::new())));
    let nodes: Vec<_> =
        nodes.into_iter().map(|(name, references)| (name.to_owned(), references, 1)).collect();
    graph(&nodes)
}

/// The layers: the names of each, sorted.
pub fn split(strategy: &Strategy, graph: &PathGraph, available: usize) -> Vec<String> {
    let layers = strategy.layers(graph, available).unwrap();
    let names =
        |layer: &Vec<StorePath>| layer.iter().map(StorePath::name).collect::<Vec<_>>().join(" ");
    layers.iter().map(names).collect()
}

pub fn pipeline(value: &Value) -> Strategy {
    Strategy::Pipeline(Pipeline::parse(value).unwrap().into())
}
