//! The strategies of nixpkgs, against examples that nixpkgs publishes, and against an independent
//! implementation in Python with the igraph library.

use std::collections::BTreeMap;

use seatrial::layering::{PathGraph, Strategy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{edges, graph, pipeline, split};

#[test]
fn popularity_orders_the_example_of_nixpkgs_as_nixpkgs_does() {
    // nixpkgs, flattenReferencesGraph, popularity_contest_test.py
    let example = edges(
        &[
            ("Root1", "A"),
            ("A", "B"),
            ("A", "D"),
            ("D", "E"),
            ("B", "D"),
            ("B", "F"),
            ("Root2", "B"),
            ("Root3", "C"),
        ],
        &["X"],
    );
    let expected = ["E", "D", "F", "B", "A", "C", "Root1", "Root2", "Root3", "X"];
    assert_eq!(split(&Strategy::Popularity, &example, 100), expected);
}

#[test]
fn equally_popular_paths_are_sorted_by_name_before_hash() {
    let tied = edges(&[], &["zz-a-1", "aa-b-1", "mm-a-2", "bb-a-1"]);
    assert_eq!(split(&Strategy::Popularity, &tied, 3), ["bb-a-1", "zz-a-1", "aa-b-1 mm-a-2"]);
}

#[test]
fn pipelines_give_the_layers_of_the_examples_of_nixpkgs() {
    // nixpkgs, flattenReferencesGraph, pipe_test.py
    let example = edges(
        &[
            ("Root1", "A"),
            ("A", "B"),
            ("A", "C"),
            ("B", "D"),
            ("B", "E"),
            ("E", "F"),
            ("B", "G"),
            ("Root2", "B"),
            ("Root3", "C"),
        ],
        &[],
    );
    let first = pipeline(&json!([
        ["split_paths", ["/nix/store/B"]],
        [
            "over",
            "main",
            [
                "pipe",
                [["subcomponent_in", ["/nix/store/B"]], ["over", "rest", ["popularity_contest"]],]
            ]
        ],
        ["flatten"],
        ["map", ["remove_paths", "/nix/store/Root3"]],
        ["limit_layers", 5],
    ]));
    assert_eq!(split(&first, &example, 100), ["B", "F", "D", "E", "A C G Root1 Root2"]);

    let chain = edges(&[("Root1", "A"), ("A", "B")], &["Root2"]);
    let contest = pipeline(&json!([["popularity_contest"]]));
    assert_eq!(split(&contest, &chain, 100), ["B", "A", "Root1", "Root2"]);
    let limited = pipeline(&json!([["popularity_contest"], ["limit_layers", 3]]));
    assert_eq!(split(&limited, &chain, 100), ["B", "A", "Root1 Root2"]);
    let reversed = pipeline(&json!([["popularity_contest"], ["reverse"], ["limit_layers", 3]]));
    assert_eq!(split(&reversed, &chain, 100), ["Root2", "Root1", "A B"]);
}

#[test]
fn parts_of_a_graph_are_those_of_the_examples_of_nixpkgs() {
    // nixpkgs, flattenReferencesGraph, subcomponent_test.py and split_paths_test.py
    let example = edges(
        &[
            ("Root1", "A"),
            ("A", "B"),
            ("A", "C"),
            ("B", "D"),
            ("B", "E"),
            ("Root2", "B"),
            ("Root3", "C"),
        ],
        &[],
    );
    let parts = |operation: &str, paths: &[&str], graph: &PathGraph| {
        let paths: Vec<String> = paths.iter().map(|name| format!("/nix/store/{name}")).collect();
        split(&pipeline(&json!([[operation, paths]])), graph, 100)
    };
    assert_eq!(parts("subcomponent_out", &["B"], &example), ["B D E", "A C Root1 Root2 Root3"]);
    assert_eq!(
        parts("subcomponent_out", &["B", "Root3"], &example),
        ["B C D E Root3", "A Root1 Root2"]
    );
    assert_eq!(parts("subcomponent_in", &["B"], &example), ["A B Root1 Root2", "C D E Root3"]);
    assert_eq!(
        parts("subcomponent_in", &["B", "Root3"], &example),
        ["A B Root1 Root2 Root3", "C D E"]
    );
    let example = edges(
        &[
            ("Root1", "A"),
            ("A", "B"),
            ("A", "D"),
            ("D", "E"),
            ("B", "D"),
            ("B", "F"),
            ("Root2", "B"),
            ("Root3", "C"),
        ],
        &["X"],
    );
    assert_eq!(parts("split_paths", &["B"], &example), ["B F", "D E", "A C Root1 Root2 Root3 X"]);
    assert_eq!(
        parts("split_paths", &["B", "Root3"], &example),
        ["B C F Root3", "D E", "A Root1 Root2 X"]
    );
    assert_eq!(parts("split_paths", &["D"], &example), ["D E", "A B C F Root1 Root2 Root3 X"]);
}

/// A graph, and its layers according to the other implementation; paths are numbers.
#[derive(Deserialize)]
struct Case {
    graph: Vec<Node>,
    auto: BTreeMap<String, Vec<Vec<usize>>>,
    pipelines: Vec<PipelineCase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    path: String,
    references: Vec<usize>,
    nar_size: u64,
}

#[derive(Deserialize)]
struct PipelineCase {
    pipeline: Value,
    layers: Vec<Vec<usize>>,
}

#[test]
fn layers_of_random_graphs_equal_those_of_another_implementation() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../fixtures/layerings.json")).unwrap();
    for Case { graph: nodes, auto, pipelines } in cases {
        let name = |number: usize| nodes[number].path["/nix/store/".len()..].to_owned();
        let described: Vec<_> = (0..nodes.len())
            .map(|number| {
                let references = nodes[number].references.iter().map(|to| name(*to)).collect();
                (name(number), references, nodes[number].nar_size)
            })
            .collect();
        let graph = graph(&described);
        let named = |layers: &[Vec<usize>]| -> Vec<String> {
            let names = |layer: &Vec<usize>| {
                layer.iter().map(|number| name(*number)).collect::<Vec<_>>().join(" ")
            };
            layers.iter().map(names).collect()
        };
        for (limit, layers) in &auto {
            let found = split(&Strategy::Auto, &graph, limit.parse().unwrap());
            assert_eq!(found, named(layers), "auto {limit}");
        }
        for PipelineCase { pipeline: value, layers } in &pipelines {
            assert_eq!(split(&pipeline(value), &graph, 1000), named(layers), "{value}");
        }
    }
}
