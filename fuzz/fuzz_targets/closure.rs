//! Any text as the JSON of a closure.
//!
//! Invariant: parsing never panics; a graph that is accepted can be written and read again; the
//! closure of any of its paths is split into layers without losing or doubling a path, in the same
//! way in whatever order the graph lists them.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use seatrial::closure::{Closure, StoreDir, StorePath, named_in, parse};
use seatrial::layering::{PathGraph, Strategy};
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let dir = StoreDir::new("/nix/store").expect("a valid folder");
    let Ok(graph) = parse(text, &dir) else { return };
    let mut roots = named_in(text, &dir, &graph);
    roots.retain(|path| graph.contains(path));
    let roots = || roots.iter().map(|path| ("a root".to_owned(), path.clone()));
    let Ok(closure) = graph.closure(roots()) else { return };
    let node = |(path, references): (&StorePath, &BTreeSet<StorePath>)| {
        let references: Vec<&str> = references.iter().map(StorePath::as_str).collect();
        json!({ "path": path.as_str(), "references": references })
    };
    let mut list: Vec<_> = closure.iter().map(node).collect();
    list.reverse();
    let again = parse(&json!(list).to_string(), &dir).expect("a graph that was written is read");
    let again = again.closure(roots()).expect("a closure that was written is whole");
    assert!(closure.iter().eq(again.iter()));
    let size = |path: &StorePath| path.as_str().len() as u64;
    let (graph, again) = (PathGraph::new(&closure, size), PathGraph::new(&again, size));
    for (strategy, most) in [
        (Strategy::Popularity, 1),
        (Strategy::Popularity, 3),
        (Strategy::Popularity, 100),
        (Strategy::Auto, 3),
        (Strategy::Auto, 100),
        (Strategy::Balanced, 3),
        (Strategy::Balanced, 100),
        (Strategy::Single, 1),
    ] {
        let split = strategy.layers(&graph, most).expect("only a pipeline may not fit");
        check(&closure, &split, most);
        assert_eq!(split, strategy.layers(&again, most).expect("as before"));
    }
});

fn check(closure: &Closure, layers: &[Vec<StorePath>], most: usize) {
    assert!(layers.len() <= most && layers.iter().all(|layer| !layer.is_empty()));
    let paths: BTreeSet<&StorePath> = layers.iter().flatten().collect();
    assert_eq!(paths.len(), layers.iter().map(Vec::len).sum::<usize>(), "a path is there twice");
    assert!(paths.into_iter().eq(closure.paths()), "a path is missing");
}
