//! `ci/bench micro`: small operations that a build repeats often.

#![allow(missing_docs)]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use seatrial::archive::entry::{Attributes, Entry, Kind};
use seatrial::archive::header;
use seatrial::image::{Digest, Env, Hasher};

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
