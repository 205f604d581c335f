//! Base images: formats, archives with several images.

use std::fs;

use serde_json::{Value, json};

use crate::lab::{Built, Lab};

/// A base with merged /usr, a sticky /tmp, an owned directory and a file.
pub fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("base/usr/bin/sh", "shell");
    lab.link("base/bin", "usr/bin");
    lab.link("base/lib", "/usr/lib");
    lab.file("base/usr/lib/libc.so", "libc");
    lab.file("base/etc/hosts", "hosts");
    lab.file("base/tmp/x", "");
    lab.mode("base/tmp", 0o1777);
    lab.file(
        "base.toml",
        "name='base'\ntag='1'\nuid=7\ngid=8\nmtime='2001-01-01T00:00:00Z'\ncontents='base'\n\
         [config]\nCmd=['sh']\nEntrypoint=['/init']\nUser='nobody'\nEnv=['A=1']\n\
         Labels={ a = 'b' }\n",
    );
    lab.seatrial(["build", "base.toml"]).ok();
    lab
}

pub fn on_base(lab: &Lab, more: &str) -> Built {
    lab.build(&format!("name='x'\nfrom_image='base.tar'\n{more}"))
}

#[test]
fn a_base_gives_the_same_layers_in_every_format_and_compression() {
    let lab = lab();
    lab.file("own/a", "");
    let recipe = "name='x'\ntag='1'\ncontents='own'\nfrom_image=";
    let expected = lab.build(&format!("{recipe}'base.tar'\n"));
    for (tool, arguments) in [("gzip", "-k"), ("zstd", "-qk"), ("xz", "-k")] {
        lab.tool(tool, [arguments, "base.tar"]);
    }
    lab.seatrial(["build", "base.toml", "--format", "oci", "-o", "oci.tar"]).ok();
    lab.seatrial([
        "build",
        "base.toml",
        "--format",
        "oci",
        "--compress",
        "gzip",
        "-o",
        "oci-gzip.tar",
    ])
    .ok();
    lab.seatrial([
        "build",
        "base.toml",
        "--format",
        "oci",
        "--compress",
        "zstd",
        "-o",
        "oci-zstd.tar",
    ])
    .ok();
    lab.seatrial(["build", "base.toml", "--format", "dual", "-o", "dual.tar"]).ok();
    fs::create_dir(lab.path("layout")).unwrap();
    lab.tool("tar", ["-xf", "oci-gzip.tar", "-C", "layout"]);
    lab.tool("skopeo", ["copy", "-q", "docker-archive:base.tar", "oci:by-skopeo:1"]);
    lab.tool(
        "skopeo",
        ["copy", "-q", "docker-archive:base.tar", "docker-archive:by-skopeo.tar:base:1"],
    );
    for base in [
        "base.tar.gz",
        "base.tar.zst",
        "base.tar.xz",
        "oci.tar",
        "oci-gzip.tar",
        "oci-zstd.tar",
        "dual.tar",
        "layout",
        "by-skopeo",
        "by-skopeo.tar",
    ] {
        let built = lab.build(&format!("{recipe}'{base}'\n"));
        assert_eq!(built.config()["rootfs"], expected.config()["rootfs"], "{base}");
        assert_eq!(built.layers(), expected.layers().clone(), "{base}");
        lab.seatrial(["inspect", "out.tar"]).ok();
    }
}

/// Writes `old.tar` in the format of `docker save` before version 25: each layer has a folder with
/// `json` and `VERSION`, and repeated layers are symlinks.
pub fn old_docker_save(lab: &Lab) {
    let layer = {
        lab.file("l/etc/old", "old");
        lab.tool("tar", ["-cf", "layer.tar", "-C", "l", "etc"]);
        fs::read(lab.path("layer.tar")).unwrap()
    };
    let diff_id = lab.tool("sha256sum", ["layer.tar"])[..64].to_owned();
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    for id in [&one, &two] {
        lab.file(format!("save/{id}/VERSION"), "1.0");
        lab.file(format!("save/{id}/json"), json!({ "id": id, "parent": one }).to_string());
    }
    lab.file(format!("save/{one}/layer.tar"), layer);
    lab.link(&format!("save/{two}/layer.tar"), &format!("../{one}/layer.tar"));
    let config = json!({
        "architecture": "amd64", "os": "linux", "container": "c0ffee", "docker_version": "20.10.24",
        "os.features": ["kept"], "config": {"Env": ["OLD=1"], "Cmd": null, "Volumes": null},
        "rootfs": {"type": "layers", "diff_ids": vec![format!("sha256:{diff_id}"); 2]},
    });
    lab.file("save/config.json", config.to_string());
    let manifest = json!([{
        "Config": "config.json", "RepoTags": null,
        "Layers": [format!("{one}/layer.tar"), format!("{two}/layer.tar")],
    }]);
    lab.file("save/manifest.json", manifest.to_string());
    lab.tool("tar", ["-cf", "old.tar", "-C", "save", "."]);
}

#[test]
fn an_image_for_another_architecture_than_its_base_is_built_with_a_notice() {
    let lab = Lab::new();
    old_docker_save(&lab);
    for (architecture, expected) in [
        ("arm64", "note: the image is for linux/arm64, but its base is for linux/amd64: "),
        ("amd64", ""),
    ] {
        lab.file(
            "app.toml",
            format!("name='x'\nfrom_image='old.tar'\narchitecture='{architecture}'\n"),
        );
        let run = lab.seatrial(["build", "app.toml", "-o", "x.tar"]);
        assert!(run.stderr().starts_with(expected), "{}", run.stderr());
        assert_eq!(run.stderr().is_empty(), expected.is_empty(), "{}", run.stderr());
        run.ok();
    }
}

#[test]
fn an_old_docker_save_with_repeated_and_symlinked_layers_is_a_base() {
    let lab = Lab::new();
    old_docker_save(&lab);
    lab.file("own/a", "");
    let recipe = "name='x'\nfrom_image='old.tar'\narchitecture='amd64'\ncontents='own'\n";
    for format in ["docker", "oci", "dual"] {
        let path = format!("{format}.tar");
        lab.build_with(recipe, &path, &["--format", format]);
        let summary: Value =
            serde_json::from_str(&lab.seatrial(["inspect", &path, "--json"]).ok()).unwrap();
        assert_eq!(summary["layers"].as_array().unwrap().len(), 3, "{format}");
        assert_eq!(summary["layers"][0]["diff_id"], summary["layers"][1]["diff_id"]);
        assert_eq!(summary["env"], json!(["OLD=1"]));
    }
    let config = lab.build(recipe).config();
    assert_eq!(config["os.features"], json!(["kept"]));
    assert!(config.get("container").is_none() && config.get("docker_version").is_none());
    // The base has no history, so there is one entry per layer instead.
    assert_eq!(config["history"].as_array().unwrap().len(), 3);
}

#[test]
fn name_and_tag_select_one_of_several_images() {
    let lab = Lab::new();
    for (name, tag) in [("a/one", "1"), ("b/two", "2")] {
        lab.file(format!("{tag}/file{tag}"), tag);
        lab.file(
            format!("{tag}.toml"),
            format!("name='{name}'\ntag='{tag}'\ncontents='{tag}'\n[config]\nEnv=['T={tag}']\n"),
        );
        lab.seatrial([
            "build",
            &format!("{tag}.toml"),
            "--format",
            "docker",
            "-o",
            &format!("{tag}.tar"),
        ])
        .ok();
        fs::create_dir(lab.path(format!("u{tag}"))).unwrap();
        lab.tool("tar", ["-xf", &format!("{tag}.tar"), "-C", &format!("u{tag}")]);
        let renamed = fs::read_to_string(lab.path(format!("u{tag}/manifest.json"))).unwrap();
        lab.file(format!("both/{tag}.manifest"), renamed.replace("001/", &format!("{tag}/")));
        fs::rename(lab.path(format!("u{tag}/001")), lab.path(format!("both/{tag}"))).unwrap();
        for entry in fs::read_dir(lab.path(format!("u{tag}"))).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.len() > 64 {
                fs::rename(lab.path(format!("u{tag}/{name}")), lab.path(format!("both/{name}")))
                    .unwrap();
            }
        }
    }
    let list = |tag: &str| -> Value {
        serde_json::from_slice(&fs::read(lab.path(format!("both/{tag}.manifest"))).unwrap())
            .unwrap()
    };
    let both = json!([list("1")[0], list("2")[0]]);
    lab.file("both/manifest.json", both.to_string());
    lab.tool("tar", ["-cf", "both.tar", "-C", "both", "."]);
    let recipe = |more: &str| format!("name='x'\nfrom_image='both.tar'\n{more}");
    assert_eq!(lab.build(&recipe("from_image_name='b/two'\n")).env(), ["T=2"]);
    assert_eq!(lab.build(&recipe("fromImageTag='1'\n")).env(), ["T=1"]);
    assert_eq!(lab.build(&recipe("from_image_name='docker.io/a/one'\n")).env(), ["T=1"]);
    let message = lab.rejected(&recipe(""));
    assert!(message.contains("a/one:1, b/two:2"), "{message}");
    assert!(
        lab.rejected(&recipe("from_image_name='c/three'\n")).contains("no image matches c/three")
    );
}

#[test]
fn the_base_is_the_image_in_the_index_for_the_recipes_platform() {
    let lab = Lab::new();
    for architecture in ["amd64", "arm64"] {
        lab.file(format!("{architecture}/{architecture}"), "");
        let recipe = format!(
            "name='base'\ntag='1'\narchitecture='{architecture}'\ncontents='{architecture}'\n"
        );
        lab.file(format!("{architecture}.toml"), recipe);
        let output = format!("{architecture}.tar");
        lab.seatrial(["build", &format!("{architecture}.toml"), "--format", "oci", "-o", &output])
            .ok();
        fs::create_dir_all(lab.path("layout")).unwrap();
        lab.tool("tar", ["-xf", &output, "-C", "layout"]);
        fs::rename(lab.path("layout/index.json"), lab.path(format!("{architecture}.index")))
            .unwrap();
    }
    let manifests: Vec<Value> = ["amd64", "arm64"]
        .iter()
        .map(|a| {
            serde_json::from_slice::<Value>(&fs::read(lab.path(format!("{a}.index"))).unwrap())
                .unwrap()["manifests"][0]
                .take()
        })
        .collect();
    lab.file(
        "layout/index.json",
        json!({ "schemaVersion": 2, "manifests": manifests }).to_string(),
    );
    for architecture in ["amd64", "arm64"] {
        let built =
            lab.build(&format!("name='x'\nfrom_image='layout'\narchitecture='{architecture}'\n"));
        assert!(built.member(architecture).is_some());
    }
    let message = lab.rejected("name='x'\nfrom_image='layout'\narchitecture='s390x'\n");
    assert!(message.contains("linux/amd64") && message.contains("linux/arm64"), "{message}");
}
