//! The strategy `balanced`.

use seatrial::layering::{PathGraph, Strategy};

use super::{graph, split};

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
