//! Strategies and pipelines on graphs, against examples that nixpkgs publishes, and against an
//! independent implementation in Python with the igraph library.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use seatrial::closure::{Closure, Graph, StoreDir, StorePath};
use seatrial::layering::{LayeringError, PathGraph, Pipeline, Strategy};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::lab::{Lab, STORE, strings};

/// The graph of paths named in `nodes`, each with its references and its size.
fn graph(nodes: &[(String, Vec<String>, u64)]) -> PathGraph {
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
fn edges(edges: &[(&str, &str)], alone: &[&str]) -> PathGraph {
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
fn split(strategy: &Strategy, graph: &PathGraph, available: usize) -> Vec<String> {
    let layers = strategy.layers(graph, available).unwrap();
    let names =
        |layer: &Vec<StorePath>| layer.iter().map(StorePath::name).collect::<Vec<_>>().join(" ");
    layers.iter().map(names).collect()
}

fn pipeline(value: &Value) -> Strategy {
    Strategy::Pipeline(Pipeline::parse(value).unwrap().into())
}

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
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/layerings.json")).unwrap();
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

/// Paths without references, by their sizes in KiB.
fn alone(paths: &[(&str, u64)]) -> PathGraph {
    let node = |(name, size): &(&str, u64)| ((*name).to_owned(), Vec::new(), size << 10);
    graph(&paths.iter().map(node).collect::<Vec<_>>())
}

#[test]
fn balanced_keeps_a_version_together_and_large_paths_apart() {
    let paths = alone(&[
        ("1-curl-7.88", 300),
        ("2-libcurl-7.88", 800),
        ("3-llvm-14.0", 60_000),
        ("4-clang-14.0", 30_000),
        ("5-zlib-1.2", 100),
        ("6-bzip2-1.0", 90),
        ("7-source", 80),
    ]);
    let expected = ["5-zlib-1.2 6-bzip2-1.0 7-source", "1-curl-7.88 2-libcurl-7.88"];
    let expected = [&expected[..], &["4-clang-14.0", "3-llvm-14.0"]].concat();
    assert_eq!(split(&Strategy::Balanced, &paths, 4), expected);
    // Paths larger than an average layer are on their own, with a version or without.
    let joined = split(&Strategy::Balanced, &paths, 3);
    assert_eq!(joined[1..], ["4-clang-14.0", "3-llvm-14.0"], "{joined:?}");
}

#[test]
fn balanced_joins_what_is_rebuilt_together_in_a_nix_store() {
    let path = |hash: &str, name: &str| format!("{}-{name}", hash.repeat(32));
    let (a, b) = (path("1", "a-1.0"), path("2", "b-2.0"));
    let nodes = [
        (a.clone(), Vec::new(), 1000 << 10),
        (b.clone(), Vec::new(), 1000 << 10),
        (path("3", "p-3.0"), vec![a.clone()], 10 << 10),
        (path("4", "q-4.0"), vec![b], 10 << 10),
        (path("5", "r-5.0"), vec![a], 10 << 10),
    ];
    let layers = split(&Strategy::Balanced, &graph(&nodes), 4);
    // A change of `a` changes `p` and `r`.
    let together = format!("{} {}", path("3", "p-3.0"), path("5", "r-5.0"));
    assert_eq!(layers.len(), 4);
    assert!(layers.contains(&together), "{layers:?}");
}

#[test]
fn an_update_moves_no_other_path_to_another_layer_of_balanced() {
    let paths: Vec<(String, u64)> = (0..60_u64)
        .map(|number| (format!("{number}-p{number}-1.{number}"), 10 + number * number * 7))
        .collect();
    let split = |paths: &[(String, u64)]| {
        let paths: Vec<_> = paths.iter().map(|(name, size)| (name.as_str(), *size)).collect();
        split(&Strategy::Balanced, &alone(&paths), 12)
    };
    let before = split(&paths);
    assert_eq!(before.len(), 12);
    for updated in 0..paths.len() {
        let mut after = paths.clone();
        after[updated].0 = format!("x{updated}-p{updated}-2.{updated}");
        let after = split(&after);
        let changed = after.iter().filter(|layer| !before.contains(layer)).count();
        assert_eq!(changed, 1, "p{updated}");
    }
}

#[test]
fn each_strategy_splits_the_store_of_a_recipe() {
    let lab = Lab::with_store();
    // The sizes of a-app, b-zlib and c-libc as Nix archives are equal; the last in order is the
    // first primary path of auto.
    for (layering, max, expected) in [
        ("'auto'", 100, vec!["c-libc", "b-zlib", "a-app", ""]),
        ("'auto'", 3, vec!["c-libc", "a-app b-zlib", ""]),
        ("'balanced'", 100, vec!["c-libc", "b-zlib", "a-app", ""]),
        ("'popularity'", 3, vec!["c-libc", "a-app b-zlib", ""]),
        ("'single'", 3, vec!["a-app b-zlib c-libc"]),
        ("[['subcomponent_out', ['/nix/store/b-zlib']]]", 3, vec!["b-zlib c-libc", "a-app", ""]),
        ("[['remove_paths', '/nix/store/c-libc']]", 3, vec!["a-app b-zlib", ""]),
        ("'pipeline.json'", 100, vec!["a-app", "b-zlib", "c-libc", ""]),
    ] {
        lab.file("pipeline.json", r#"[["popularity_contest"], ["reverse"]]"#);
        let built = lab.build(&format!(
            "name='x'\nlayering={layering}\nmax_layers={max}\ncontents='/nix/store/a-app'\n{STORE}"
        ));
        let layers = built.summary["layers"].as_array().unwrap();
        let layers: Vec<String> = layers
            .iter()
            .map(|layer| strings(&layer["paths"]).join(" ").replace("/nix/store/", ""))
            .collect();
        assert_eq!(layers, expected, "{layering}");
    }
}

#[test]
fn the_default_is_popularity_for_the_store_of_nix_and_balanced_for_others() {
    let lab = Lab::with_store();
    let split = |dir: &str, layering: &str| {
        let graph = std::fs::read_to_string(lab.path("graph.json")).unwrap();
        lab.file("graph-of.json", graph.replace("/nix/store", dir));
        lab.file(
            "recipe.toml",
            format!(
                "name='x'\nmax_layers=3\ncontents='{dir}/a-app'\n{layering}\n\
                 [store]\ndir='{dir}'\nsource='store'\nclosure='graph-of.json'\n"
            ),
        );
        lab.seatrial(["layers", "recipe.toml", "--json"]).ok()
    };
    let [popularity, balanced] = ["layering='popularity'", "layering='balanced'"];
    for (dir, same, other) in
        [("/nix/store", popularity, balanced), ("/packages", balanced, popularity)]
    {
        assert_eq!(split(dir, ""), split(dir, same), "{dir}");
        assert_ne!(split(dir, ""), split(dir, other), "{dir}");
    }
}

#[test]
fn auto_is_the_same_with_sizes_in_the_graph_and_without() {
    let lab = Lab::with_store();
    lab.file("store/b-zlib/large-file", vec![b'x'; 5000]);
    lab.link("store/b-zlib/link", "large-file");
    lab.mode("store/a-app/bin/app", 0o755);
    // The sizes of the output of `nix-store --dump PATH`.
    let sizes = [("a-app", 496), ("b-zlib", 5856), ("c-libc", 464)];
    let mut graph: Value =
        serde_json::from_slice(&std::fs::read(lab.path("graph.json")).unwrap()).unwrap();
    let mut layers = |sizes: Option<&[(&str, u64)]>| {
        for node in graph.as_array_mut().unwrap() {
            let path = node["path"].as_str().unwrap().to_owned();
            let fields = node.as_object_mut().unwrap();
            fields.remove("narSize");
            let size = sizes.and_then(|sizes| sizes.iter().find(|(name, _)| path.ends_with(name)));
            fields.extend(size.map(|(_, size)| ("narSize".to_owned(), json!(size))));
        }
        lab.file("graph.json", graph.to_string());
        let recipe = "name='x'\nlayering='auto'\nmax_layers=3\ncontents='/nix/store/a-app'\n";
        let built = lab.build(&format!("{recipe}{STORE}"));
        let layers = built.summary["layers"].as_array().unwrap();
        layers.iter().map(|layer| strings(&layer["paths"]).join(" ")).collect::<Vec<_>>()
    };
    let expected = ["/nix/store/b-zlib /nix/store/c-libc", "/nix/store/a-app", ""];
    assert_eq!(layers(None), expected);
    assert_eq!(layers(Some(&sizes)), expected);
    // One byte decides.
    assert_eq!(
        layers(Some(&[("a-app", 495), ("b-zlib", 463), ("c-libc", 496)])),
        ["/nix/store/c-libc", "/nix/store/a-app /nix/store/b-zlib", ""]
    );
}

#[test]
fn mistakes_in_a_pipeline_are_found_before_any_file_is_read() {
    let lab = Lab::with_store();
    // Reading a file of this store path would fail.
    std::fs::remove_dir_all(lab.path("store/c-libc")).unwrap();
    for (layering, expected) in [
        ("'populairty'", "did you mean \"popularity\"?"),
        ("[['popularity_contst']]", "did you mean \"popularity_contest\"?"),
        ("[['limit_layer', 3]]", "did you mean \"limit_layers\"?"),
        ("['reverse']", "\"reverse\" is not an operation"),
        ("[['limit_layers']]", "limit_layers takes one argument, not 0; write"),
        ("[['limit_layers', 0]]", "limit_layers needs a number above 0, not 0"),
        ("[['split_every', '3']]", "split_every needs a number above 0"),
        ("[['reverse', 1]]", "reverse takes no argument, not 1"),
        ("[['over', 'rest']]", "over takes two arguments, not 1"),
        ("[['over', ['reverse'], ['reverse']]]", "over needs a key"),
        ("[['map', ['pipe', [['flaten']]]]]", "did you mean \"flatten\"?"),
        ("[['split_paths', [{ childrenof = 'x' }]]]", "split_paths needs a list of store paths"),
        ("[['subcomponent_in', 1]]", "subcomponent_in needs a store path"),
        ("[['subcomponent_in', '/nix/store/c-lib']]", "did you mean \"/nix/store/c-libc\"?"),
        ("[['over', 'x', ['remove_paths', ['/nix/store/z']]]]", "remove_paths names"),
        ("[['reverse']]", "reverse needs a list, but gets a graph"),
        ("[['popularity_contest'], ['split_every', 1]]", "apply it to each graph of the list"),
        ("[['split_paths', []], ['over', 'main', ['flatten']]]", "gets a table with rest"),
        ("[['split_paths', []], ['reverse']]", "make it a list with flatten"),
        ("[['popularity_contest']]", "makes 3 layers, but max_layers leaves 2"),
        ("'no/pipeline.json'", "failed to read"),
        ("{ a = 1 }", "must be the name of a strategy or a pipeline"),
    ] {
        let message = lab.rejected(&format!(
            "name='x'\nlayering={layering}\nmax_layers=3\ncontents='/nix/store/a-app'\n{STORE}"
        ));
        assert!(message.contains(expected), "{layering}: {message}");
    }
}

#[test]
fn one_layer_with_a_base_image_is_rejected_with_the_numbers() {
    let lab = Lab::with_store();
    lab.build_with(&format!("name='base'\ncontents='/nix/store/c-libc'\n{STORE}"), "base.tar", &[]);
    for layering in ["'auto'", "'popularity'", "'single'", "[['flatten']]"] {
        let message = lab.rejected(&format!(
            "name='x'\nlayering={layering}\nmax_layers=1\nfrom_image='base.tar'\n\
             contents='/nix/store/a-app'\n{STORE}"
        ));
        assert!(message.contains("max_layers is 1"), "{message}");
        assert!(message.contains("base image has 2 layers"), "{message}");
    }
}

#[test]
fn large_graphs_are_split_in_seconds() {
    // Each path refers to some that come after it, as in a closure of packages.
    let count = 20_000;
    let nodes: Vec<_> = (0..count)
        .map(|number| {
            let to = |step: usize| (number + 1 + number * step % 97 * step).min(count - 1);
            let references = (1..6).map(to).filter(|to| *to != number).map(|to| to.to_string());
            (number.to_string(), references.collect(), (number * 7919 % 10_007) as u64)
        })
        .collect();
    let graph = graph(&nodes);
    let limited = pipeline(&json!([["popularity_contest"], ["limit_layers", 90]]));
    for strategy in [Strategy::Auto, Strategy::Balanced, Strategy::Popularity, limited] {
        let start = Instant::now();
        assert!(strategy.layers(&graph, 99).unwrap().len() > 2);
        // Ten times what an optimized program takes; blow-ups take minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{strategy:?} {:?}", start.elapsed());
    }
}

#[test]
fn a_pipeline_never_makes_more_layers_than_allowed() {
    let three = edges(&[("A", "B"), ("B", "C")], &[]);
    let error = pipeline(&json!([["popularity_contest"]])).layers(&three, 2).unwrap_err();
    assert_eq!(error, LayeringError::TooMany { layers: 3, available: 2 });
}
