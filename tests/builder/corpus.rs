//! An image of a store with real packages: Debian packages of the host with their dependencies.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::lab::{Lab, strings};

#[test]
fn an_image_of_real_packages_is_complete_and_has_every_store_path_once() {
    let lab = Lab::new();
    let generator = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/mkstore.py");
    lab.tool(
        "python3",
        [generator.to_str().unwrap(), lab.path("store").to_str().unwrap(), "graph.json", "25"],
    );
    let graph: Value = serde_json::from_slice(&fs::read(lab.path("graph.json")).unwrap()).unwrap();
    let paths: BTreeSet<String> = graph
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["path"].as_str().unwrap().to_owned())
        .collect();
    assert!(paths.len() > 20, "{}", paths.len());
    let store = lab.path("store").to_str().unwrap().to_owned();
    let labels = paths.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let built = lab.build(&format!(
        "name='corpus'\nmax_layers=20\n[store]\ndir='{store}'\nclosure='graph.json'\n\
         [config]\nLabels={{ all='{labels}' }}\n"
    ));
    let layers = built.summary["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 20);
    let in_layers: Vec<String> = layers.iter().flat_map(|layer| strings(&layer["paths"])).collect();
    assert_eq!(in_layers.len(), paths.len());
    assert_eq!(in_layers.into_iter().collect::<BTreeSet<_>>(), paths);
    fs::create_dir(lab.path("unpacked")).unwrap();
    for layer in built.layer_files() {
        fs::write(lab.path("layer.tar"), layer).unwrap();
        lab.tool("tar", ["-xpf", "layer.tar", "-C", "unpacked"]);
    }
    let unpacked = lab.path("unpacked").join(store.trim_start_matches('/'));
    lab.tool("diff", ["-r", "--no-dereference", "store", unpacked.to_str().unwrap()]);
}
