//! Reference graphs as Nix writes them.

use std::process::Command;

use serde_json::Value;

use crate::nix::{built, nix_output, on_host, store_path};

/// The store paths in an image with `root`, which is built with the reference graph `graph`.
fn paths(root: &str, graph: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("graph"), graph).unwrap();
    let store = on_host("/nix/store").display().to_string();
    let recipe =
        format!("name='x'\ntag='1'\n[store]\nsource='{store}'\nclosure='graph'\nroots='{root}'\n");
    std::fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["build", "recipe.toml", "--json", "--no-cache"]).current_dir(folder.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let image: Value = serde_json::from_slice(&output.stdout).unwrap();
    let layers = image["layers"].as_array().unwrap();
    let paths = layers.iter().flat_map(|layer| layer["paths"].as_array().unwrap());
    let mut paths: Vec<String> = paths.map(|path| path.as_str().unwrap().to_owned()).collect();
    paths.sort();
    paths
}

#[test]
fn every_graph_that_nix_writes_gives_the_same_store_paths() {
    let hello = store_path("hello");
    let requisites = nix_output(&["nix-store", "--query", "--requisites", &hello]);
    let mut expected: Vec<&str> = requisites.lines().collect();
    expected.sort_unstable();
    let read = |name: &str| std::fs::read_to_string(built(name)).unwrap();
    let registration = built("graphs.registration").join("registration");
    let mut dump = vec!["nix-store", "--dump-db"];
    dump.extend(&expected);
    let path_info = ["nix", "path-info", "--json", "--recursive", &hello];
    for (name, graph) in [
        ("text", read("graphs.text")),
        ("attributes", read("graphs.attributes")),
        ("registration", std::fs::read_to_string(registration).unwrap()),
        ("dump", nix_output(&dump)),
        ("path-info", nix_output(&path_info)),
    ] {
        assert_eq!(paths(&hello, &graph), expected, "{name}");
    }
}
