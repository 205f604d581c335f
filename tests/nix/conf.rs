//! Configurations of streams: nixpkgs' format, read and written.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::nix::{Image, built, on_host, store_path};

/// The image that seatrial streams for the configuration `conf`.
fn streamed(conf: &Value) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conf.json");
    fs::write(&file, conf.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_seatrial")).arg("stream").arg(&file).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Image::read(&output.stdout)
}

#[test]
fn the_configuration_of_a_stream_lists_its_layers() {
    let conf: Value = serde_json::from_slice(&fs::read(built("stream.conf")).unwrap()).unwrap();
    let layers = conf["store_layers"].as_array().unwrap();
    let paths: Vec<&str> = layers
        .iter()
        .flat_map(|layer| layer.as_array().unwrap())
        .map(|path| path.as_str().unwrap())
        .collect();
    assert!(paths.contains(&store_path("hello").as_str()), "{paths:?}");
    let image = Image::streamed("stream");
    assert_eq!(conf["repo_tag"], image.reference());
    assert_eq!(image.layers().len(), layers.len() + 1);
    for key in ["store_dir", "created", "mtime", "config", "architecture", "uid", "uname"] {
        assert!(!conf[key].is_null(), "{key}");
    }
    let custom: Value = serde_json::from_slice(&fs::read(built("fakeRoot.conf")).unwrap()).unwrap();
    let folder = custom["customisation_layer"].as_str().unwrap();
    assert!(on_host(folder).join("layer.tar").is_file());
}

#[test]
fn the_configuration_of_nixpkgs_is_streamed() {
    // As nixpkgs writes it, with the store and a layer where this test has them.
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    for path in ["a-app", "b-libc", "c-more"] {
        fs::create_dir_all(store.join(path)).unwrap();
        fs::write(store.join(path).join("file"), path).unwrap();
    }
    let layer = folder.path().join("layer");
    fs::create_dir_all(&layer).unwrap();
    fs::create_dir_all(folder.path().join("top/etc")).unwrap();
    fs::write(folder.path().join("top/etc/motd"), "hi\n").unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--owner=7", "--group=8", "--numeric-owner", "-cf"]).arg(layer.join("layer.tar"));
    assert!(tar.arg("-C").arg(folder.path().join("top")).arg(".").status().unwrap().success());
    let path = |name: &str| store.join(name).display().to_string();
    let image = streamed(&json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Env": ["A=1"], "Cmd": ["/bin/app"] },
        "store_dir": store, "from_image": null,
        "store_layers": [[path("b-libc")], [path("c-more"), path("a-app")]],
        "customisation_layer": layer, "repo_tag": "registry.example:5000/app:abc",
        "created": "1970-01-01T00:00:01+00:00", "mtime": "1970-01-01T00:00:01+00:00",
        "uid": "0", "gid": "0", "uname": "root", "gname": "root",
    }));
    assert_eq!(image.reference(), "registry.example:5000/app:abc");
    assert_eq!(image.config()["config"]["Cmd"], json!(["/bin/app"]));
    let layers = image.layers();
    assert_eq!(layers.len(), 3);
    let has = |layer: usize, name: &str| layers[layer].keys().any(|path| path.ends_with(name));
    assert!(has(0, "b-libc/file") && has(1, "a-app/file") && has(1, "c-more/file"));
    assert_eq!(layers[2]["etc/motd"].owner, (7, 8));
}
