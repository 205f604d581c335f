//! Properties of pure functions and of the tar writer, for random inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use num_bigint::BigUint;
use proptest::prelude::*;
use seatrial::archive::layer::LayerBuilder;
use seatrial::archive::pipeline::{self, LayerSource, NoCache};
use seatrial::archive::sink::LayerSink;
use seatrial::archive::{ArchiveError, Attributes, Entry, Kind, entry};
use seatrial::closure::{Closure, Graph, StoreDir};
use seatrial::image::{DiffId, Env, Reference};
use seatrial::layering::{Budget, PathGraph, Strategy as Layering, popularity};
use sha2::{Digest, Sha256};

fn env_entries() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[A-D]{1,2}=[a-z=]{0,3}", 0..12)
}

fn name(entry: &str) -> &str {
    entry.split_once('=').unwrap().0
}

proptest! {
    #[test]
    fn merged_environments_have_each_name_once_and_the_last_value_wins(
        base in env_entries(), own in env_entries(),
    ) {
        let merged = Env::parse(&base).unwrap().merged(&Env::parse(&own).unwrap()).to_entries();
        let names: Vec<&str> = merged.iter().map(|entry| name(entry)).collect();
        prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        // The order is that of first occurrence, the value that of the last.
        let all: Vec<&String> = base.iter().chain(&own).collect();
        let mut first = Vec::new();
        all.iter().for_each(|entry| if !first.contains(&name(entry)) { first.push(name(entry)) });
        prop_assert_eq!(&names, &first);
        for entry in &merged {
            let last = all.iter().rev().find(|other| name(other) == name(entry)).unwrap();
            prop_assert_eq!(&entry, last);
        }
    }

    #[test]
    fn merging_an_environment_with_itself_changes_nothing(entries in env_entries()) {
        let env = Env::parse(&entries).unwrap();
        prop_assert_eq!(env.clone().merged(&env), env.clone());
        prop_assert_eq!(Env::parse(env.to_entries()).unwrap(), env);
    }

    #[test]
    fn parsing_a_formatted_reference_gives_the_same_reference(
        text in concat!(
            "([a-z0-9]{1,5}(\\.[a-z]{2,3})(:[0-9]{1,4})?/)?",
            "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,3})?(/[a-z0-9]{1,5}){0,2}",
            ":[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}",
        )
    ) {
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(reference.to_string(), text);
    }

    #[test]
    fn parsing_any_text_as_a_reference_never_panics(text in "\\PC{0,40}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
        }
    }

    #[test]
    fn layers_never_exceed_the_limit_and_have_every_path_once(
        edges in prop::collection::vec((0usize..12, 0usize..12), 0..40),
        count in 0usize..12,
        max in 1usize..15,
        base in 0usize..4,
    ) {
        let closure = closure(count, &edges);
        let budget = Budget { max_layers: max, base, contents: 1 };
        let Ok(available) = budget.available(closure.len()) else {
            prop_assert!(base + 1 + usize::from(count > 0) > max);
            return Ok(());
        };
        let graph = PathGraph::new(&closure, |path| path.name().len() as u64);
        for strategy in [Layering::Popularity, Layering::Auto] {
            let layers = strategy.layers(&graph, available).unwrap();
            prop_assert!(layers.len() + base < max);
            prop_assert!(strategy == Layering::Auto || layers.len() == count.min(available));
            let mut placed: Vec<_> = layers.into_iter().flatten().collect();
            placed.sort();
            prop_assert_eq!(placed.iter().collect::<Vec<_>>(), closure.paths().collect::<Vec<_>>());
        }
    }

    #[test]
    fn popularity_equals_the_count_on_the_unfolded_tree(
        edges in prop::collection::vec((0usize..7, 0usize..7), 0..16),
    ) {
        // Only references to higher numbers, so that the tree is finite.
        let edges: Vec<_> = edges.into_iter().filter(|(from, to)| from < to).collect();
        let mut children: BTreeMap<usize, BTreeSet<usize>> =
            (0..7).map(|n| (n, BTreeSet::new())).collect();
        edges.iter().for_each(|(from, to)| { children.get_mut(from).unwrap().insert(*to); });
        let roots: BTreeSet<usize> =
            (0..7).filter(|n| !edges.iter().any(|(_, to)| to == n)).collect();
        let expected = count_occurrences(&roots, &children);
        for (path, count) in popularity::popularity(&closure(7, &edges)) {
            let number: usize = path.name()[2..].parse().unwrap();
            prop_assert_eq!(count, BigUint::from(expected[&number]), "{}", path);
        }
    }

    #[test]
    fn the_tar_crate_reads_the_same_files_that_were_written(
        files in prop::collection::btree_map("[a-z]{1,3}(/[a-z]{1,130}){0,2}", 0usize..1600, 1..6),
        threads in 1usize..4,
    ) {
        tar_round_trip(files, threads)?;
    }
}

/// The popularity contest as nixpkgs describes it: each path of a forest counts one, and every path
/// in the count of its subtrees counts one more than there.
fn count_occurrences(
    forest: &BTreeSet<usize>,
    children: &BTreeMap<usize, BTreeSet<usize>>,
) -> BTreeMap<usize, u64> {
    let mut counts = BTreeMap::new();
    for path in forest {
        *counts.entry(*path).or_default() += 1;
        for (below, count) in count_occurrences(&children[path], children) {
            *counts.entry(below).or_default() += count + 1;
        }
    }
    counts
}

fn closure(count: usize, edges: &[(usize, usize)]) -> Closure {
    let dir = StoreDir::new("/nix/store").unwrap();
    let path = |number: usize| dir.path(&format!("/nix/store/p-{number}")).unwrap();
    let mut graph = Graph::default();
    for from in 0..count {
        let references =
            edges.iter().filter(|(f, to)| *f == from && *to < count).map(|(_, to)| path(*to));
        graph.add(path(from), references, None).unwrap();
    }
    graph.closure((0..count).map(|number| ("test".to_owned(), path(number)))).unwrap()
}

#[derive(Default)]
struct MemorySink {
    announced: u64,
    bytes: Vec<u8>,
    diff_id: Option<DiffId>,
}

impl LayerSink for MemorySink {
    fn begin(&mut self, size: u64) -> std::io::Result<()> {
        self.announced = size;
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self, diff_id: DiffId) -> std::io::Result<()> {
        self.diff_id = Some(diff_id);
        Ok(())
    }
}

fn tar_round_trip(files: BTreeMap<String, usize>, threads: usize) -> Result<(), TestCaseError> {
    let folder = tempfile::TempDir::new().unwrap();
    let mut written = BTreeMap::new();
    let entries: Vec<Entry> = files
        .iter()
        .enumerate()
        .map(|(number, (path, size))| {
            // A file has the name of its entry, so each one is in a separate folder.
            let own_folder = folder.path().join(number.to_string());
            std::fs::create_dir(&own_folder).unwrap();
            let content: Vec<u8> = (0..*size).map(|i| (i * 31 + number) as u8).collect();
            let source = own_folder.join(path.rsplit('/').next().unwrap());
            std::fs::write(&source, &content).unwrap();
            let metadata = source.metadata().unwrap();
            written.insert(path.clone(), content);
            let file = entry::HostFile::new(own_folder.into(), &metadata);
            Entry::new(path.as_bytes(), 0o640, Kind::File(entry::FileContent::Host(file)))
        })
        .collect();
    let source: LayerSource<'_, ArchiveError> = Box::new(move || {
        let mut layer = LayerBuilder::new(Attributes::default());
        entries.iter().try_for_each(|entry| layer.push(entry))?;
        layer.finish()
    });
    let mut sink = MemorySink::default();
    let layers = pipeline::run(vec![source], threads, &NoCache, &mut sink, |_| ()).unwrap();
    prop_assert_eq!(sink.announced, sink.bytes.len() as u64);
    prop_assert_eq!(layers[0].diff_id.0.hex(), hex::encode(Sha256::digest(&sink.bytes)));
    prop_assert_eq!(sink.diff_id, Some(layers[0].diff_id));
    let mut archive = tar::Archive::new(&sink.bytes[..]);
    let mut read = BTreeMap::new();
    for member in archive.entries().unwrap() {
        let mut member = member.unwrap();
        let mut content = Vec::new();
        member.read_to_end(&mut content).unwrap();
        prop_assert_eq!(member.header().mode().unwrap(), 0o640);
        read.insert(String::from_utf8(member.path_bytes().into_owned()).unwrap(), content);
    }
    prop_assert_eq!(read, written);
    Ok(())
}

#[test]
fn popularity_equals_the_example_of_nixpkgs() {
    // From the tests of nixpkgs: foo 1, bar 2, baz 4, tux 6.
    let closure = closure(4, &[(0, 1), (0, 2), (1, 2), (2, 3)]);
    let counts: Vec<BigUint> = popularity::popularity(&closure).into_values().collect();
    assert_eq!(counts, [1u32, 2, 4, 6].map(BigUint::from));
}

#[test]
fn cycles_count_as_one_and_equal_counts_are_ordered_by_path() {
    let order = |edges: &[(usize, usize)]| {
        popularity::ranked(&closure(3, edges))
            .iter()
            .map(|p| p.name()[2..].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(order(&[]), ["0", "1", "2"]);
    assert_eq!(order(&[(0, 1), (1, 0), (1, 1)]), ["0", "1", "2"]);
    assert_eq!(order(&[(0, 2), (2, 0), (0, 1)]), ["1", "0", "2"]);
}

#[test]
fn paths_are_split_into_at_most_the_available_layers() {
    let layers = |paths: usize, available: usize| {
        let graph = PathGraph::new(&closure(paths, &[]), |_| 0);
        let layers = Layering::Popularity.layers(&graph, available).unwrap();
        layers.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(layers(0, 0), [0; 0]);
    assert_eq!(layers(0, 5), [0; 0]);
    assert_eq!(layers(4, 1), [4]);
    assert_eq!(layers(4, 3), [1, 1, 2]);
    assert_eq!(layers(4, 4), [1, 1, 1, 1]);
    assert_eq!(layers(4, 5), [1, 1, 1, 1]);
}

#[test]
fn counts_beyond_128_bits_stay_exact() {
    // A ladder of 200 rungs: every rung doubles the number of paths through it.
    let edges: Vec<(usize, usize)> = (0..200)
        .flat_map(|n| {
            [(2 * n, 2 * n + 2), (2 * n, 2 * n + 3), (2 * n + 1, 2 * n + 2), (2 * n + 1, 2 * n + 3)]
        })
        .collect();
    let counts = popularity::popularity(&closure(402, &edges));
    let most = counts.values().max().unwrap();
    assert!(most.bits() > 190, "{}", most.bits());
}
