//! `ci/bench micro`: small operations that a build repeats often.

#![allow(missing_docs)]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use seatrial::archive::entry::{Attributes, Entry, Kind};
use seatrial::archive::header;
use seatrial::closure::{Graph, StoreDir};
use seatrial::image::{Digest, Env, Hasher};
use seatrial::layering::{PathGraph, Pipeline, Strategy, propose};

fn main() {
    divan::main();
}

#[divan::bench(args = [20, 150])]
fn tar_header(bencher: Bencher<'_, '_>, length: usize) {
    let (path, attributes) = ("directory/".repeat(length / 10), Attributes::default());
    let entry = Entry::new(path.as_bytes(), 0o755, Kind::Directory);
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| Vec::with_capacity(4096))
        .bench_values(|mut out| {
            header::encode(black_box(&entry), &attributes, &mut out);
            out
        });
}

#[divan::bench(args = [512, 512 << 10])]
fn sha256(bencher: Bencher<'_, '_>, size: usize) {
    let bytes = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench(|| -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(black_box(&bytes));
        hasher.finish()
    });
}

#[divan::bench(args = [10, 1000])]
fn env_merge(bencher: Bencher<'_, '_>, count: usize) {
    let entries =
        |value: &str| -> Vec<String> { (0..count).map(|n| format!("NAME_{n}={value}")).collect() };
    let (base, own) = (Env::parse(entries("base")), Env::parse(entries("own")));
    let (Ok(base), Ok(own)) = (base, own) else { return };
    let bencher = bencher.counter(ItemsCount::new(count)).with_inputs(|| base.clone());
    bencher.bench_values(|base| base.merged(black_box(&own)));
}

/// A graph in which each path refers to up to five others, as in a closure of packages.
fn path_graph(count: usize) -> Option<PathGraph> {
    let dir = StoreDir::new("/nix/store").ok()?;
    let path = |number: usize| {
        let (version, hash) = (number % 90, number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dir.path(&format!("/nix/store/{hash:032x}-package{number}-1.{version}")).ok()
    };
    let mut graph = Graph::default();
    for number in 0..count {
        let to = (1..6).map(|step| number + 1 + number * step % 97 * step);
        let references: Option<Vec<_>> = to.filter(|to| *to < count).map(path).collect();
        graph.add(path(number)?, references?, Some((number * 7919 % 100_003) as u64)).ok()?;
    }
    let roots: Option<Vec<_>> =
        (0..count).map(|number| Some((String::new(), path(number)?))).collect();
    let closure = graph.closure(roots?).ok()?;
    Some(PathGraph::new(&closure, |path| closure.nar_size(path).unwrap_or(0)))
}

fn bench_layers(bencher: Bencher<'_, '_>, paths: usize, strategy: &Strategy) {
    let Some(graph) = path_graph(paths) else { return };
    bencher
        .counter(ItemsCount::new(paths))
        .bench(|| strategy.layers(black_box(&graph), black_box(99)));
}

#[divan::bench(args = [730, 20_000])]
fn layers_auto(bencher: Bencher<'_, '_>, paths: usize) {
    bench_layers(bencher, paths, &Strategy::Auto);
}

#[divan::bench(args = [730, 20_000])]
fn layers_balanced(bencher: Bencher<'_, '_>, paths: usize) {
    bench_layers(bencher, paths, &Strategy::Balanced);
}

#[divan::bench(args = [730, 20_000])]
fn layers_popularity(bencher: Bencher<'_, '_>, paths: usize) {
    bench_layers(bencher, paths, &Strategy::Popularity);
}

#[divan::bench(args = [730, 20_000])]
fn layers_pipeline(bencher: Bencher<'_, '_>, paths: usize) {
    let Some(root) = path_graph(paths).and_then(|graph| graph.paths().first().cloned()) else {
        return;
    };
    let operations = serde_json::json!([
        ["split_paths", [root.as_str()]],
        ["over", "rest", ["pipe", [["popularity_contest"], ["limit_layers", 40]]]],
        ["flatten"],
        ["limit_layers", 99],
    ]);
    let Ok(pipeline) = Pipeline::parse(&operations) else { return };
    bench_layers(bencher, paths, &Strategy::Pipeline(pipeline.into()));
}

#[divan::bench(args = [730, 20_000], sample_count = 3)]
fn propose_plan(bencher: Bencher<'_, '_>, paths: usize) {
    let Some(graph) = path_graph(paths) else { return };
    bencher.bench(|| propose(black_box(&graph), &[], 40));
}
