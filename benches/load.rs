//! `ci/bench load [MIB]`: how long it takes to load an image into a Docker daemon, and to load it
//! again after one file has changed.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use seatrial::build::{CacheUse, Outputs, Recipe, plan};
use seatrial::harness::Daemon;
use seatrial::load::{Loaded, Options, Source, load};
use tempfile::TempDir;

const PATHS: usize = 10;

/// The name of a store path.
fn name(number: usize) -> String {
    format!("{}-part", char::from(b'a' + number as u8).to_string().repeat(32))
}

/// Creates store paths with `mib` MiB in total, and a folder with one small file.
fn create_contents(folder: &Path, mib: usize) {
    let mut graph = Vec::new();
    for number in 0..PATHS {
        let path = folder.join("store").join(name(number));
        fs::create_dir_all(&path).unwrap();
        let words = (mib << 18) / PATHS;
        let bytes = (0..words as u32)
            .flat_map(|n| (n ^ (number as u32) << 24).wrapping_mul(2_654_435_761).to_le_bytes());
        fs::write(path.join("file"), bytes.collect::<Vec<u8>>()).unwrap();
        let path = format!("/nix/store/{}", name(number));
        graph.push(serde_json::json!({ "path": path, "references": [], "narSize": 1 }));
    }
    fs::write(folder.join("graph.json"), serde_json::to_string(&graph).unwrap()).unwrap();
    fs::create_dir(folder.join("top")).unwrap();
}

#[tokio::main]
async fn main() {
    let mib = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100);
    let folder = TempDir::new().unwrap();
    create_contents(folder.path(), mib);
    let daemon = Daemon::start("docker-20.10", Default::default()).await.unwrap();
    let load_with = async |content: &str| -> (Loaded, f64) {
        fs::write(folder.path().join("top/file"), content).unwrap();
        let all: Vec<String> =
            (0..PATHS).map(|number| format!("/nix/store/{}", name(number))).collect();
        let text = format!(
            "name='bench'\ntag='1'\ncontents='top'\n[store]\nsource='store'\n\
             closure='graph.json'\n[config.Labels]\nall='{}'\n",
            all.join(" ")
        );
        let recipe = Recipe::parse(&folder.path().join("recipe.toml"), &text).unwrap();
        let options = Options {
            threads: 2,
            cache: CacheUse::On,
            whole: false,
            timeout: std::time::Duration::from_secs(600),
        };
        let begin = Instant::now();
        let source = Source::Plan(Box::new(plan(recipe, &Outputs::default(), 2).unwrap()));
        let loaded = load(daemon.docker().unwrap(), source, options).await.unwrap();
        (loaded, begin.elapsed().as_secs_f64())
    };
    let (complete, first) = load_with("before").await;
    let (incremental, second) = load_with("after").await;
    for (label, loaded, seconds) in
        [("all layers", &complete, first), ("one file changed", &incremental, second)]
    {
        let Loaded { layers, sent, bytes, .. } = loaded;
        println!("{label:<18}{seconds:>8.2} s   {sent} of {layers} layers, {} KiB", bytes >> 10);
    }
    println!("{:.3}x", second / first);
}
