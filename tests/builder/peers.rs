//! Other tools read the images and agree on their contents. `ci/setup` installs the tools, which
//! are Debian packages.

use std::fs;

use serde_json::Value;

use crate::lab::{Built, Lab, STORE, strings};

/// Two store layers and a layer of contents with symlinks, long names and special modes.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.store(&[("a-app", &["b-libc"]), ("b-libc", &[])]);
    lab.file("tree/etc/conf", "x");
    lab.link("tree/etc/link", "conf");
    lab.file(format!("tree/{}/{}", "d".repeat(120), "e".repeat(180)), "long");
    lab.mode("tree/etc/conf", 0o4750);
    lab
}

fn recipe() -> String {
    format!(
        "name='registry.example/my/app'\ntag='1.0'\narchitecture='arm64'\n\
         contents=['/nix/store/a-app', 'tree']\n\
         {STORE}[config]\nEnv=['A=1', 'B=2']\nCmd=['/bin/app']\nLabels={{ l = 'v' }}\n"
    )
}

fn build(lab: &Lab, format: &str, compress: &str) -> Built {
    lab.build_with(
        &recipe(),
        &format!("{format}-{compress}.tar"),
        &["--format", format, "--compress", compress],
    )
}

fn inspected(lab: &Lab, image: &str) -> Value {
    serde_json::from_str(&lab.tool("skopeo", ["--override-arch", "arm64", "inspect", image]))
        .unwrap()
}

#[test]
fn skopeo_agrees_on_docker_archives() {
    let lab = lab();
    let built = build(&lab, "docker", "none");
    // Debian's skopeo 1.9 cannot read gzip archives, so zstd represents compressed ones.
    build(&lab, "docker", "zstd");
    build(&lab, "dual", "none");
    for image in ["docker-none", "docker-zstd", "dual-none"] {
        let config = inspected(&lab, &format!("docker-archive:{image}.tar"));
        assert_eq!(config["Layers"], built.config()["rootfs"]["diff_ids"], "{image}");
        assert_eq!(strings(&config["Env"]), ["A=1", "B=2"]);
        assert_eq!(config["Architecture"], "arm64");
        assert_eq!(config["Labels"]["l"], "v");
        lab.tool(
            "skopeo",
            [
                "copy",
                "-q",
                &format!("docker-archive:{image}.tar:registry.example/my/app:1.0"),
                &format!("dir:{image}"),
            ],
        );
    }
}

#[test]
fn skopeo_agrees_on_oci_archives() {
    let lab = lab();
    for format in ["oci", "dual"] {
        for compress in ["none", "gzip", "zstd"] {
            build(&lab, format, compress);
            let image = format!("oci-archive:{format}-{compress}.tar:1.0");
            let config = inspected(&lab, &image);
            assert_eq!(strings(&config["Env"]), ["A=1", "B=2"]);
            assert_eq!(config["Architecture"], "arm64");
            assert_eq!(strings(&config["Layers"]).len(), 3);
            // A copy reads and checks every blob.
            lab.tool("skopeo", ["copy", "-q", &image, &format!("dir:{format}-{compress}")]);
        }
    }
}

#[test]
fn umoci_unpacks_the_oci_layout_to_the_same_tree_as_gnu_tar() {
    let lab = lab();
    let built = build(&lab, "docker", "none");
    build(&lab, "oci", "gzip");
    fs::create_dir_all(lab.path("layout")).unwrap();
    fs::create_dir_all(lab.path("by-tar")).unwrap();
    lab.tool("tar", ["-xf", "oci-gzip.tar", "-C", "layout"]);
    lab.tool("umoci", ["unpack", "--rootless", "--image", "layout:1.0", "bundle"]);
    for layer in built.layer_files() {
        fs::write(lab.path("layer.tar"), layer).unwrap();
        lab.tool("tar", ["-xpf", "layer.tar", "-C", "by-tar"]);
    }
    lab.tool("diff", ["-r", "--no-dereference", "by-tar", "bundle/rootfs"]);
    let listing = |root: &str| {
        let list = format!("cd {root} && find . -mindepth 1 -printf '%P %M %l\\n' | sort");
        lab.tool("bash", ["-c", &list])
    };
    assert_eq!(listing("by-tar"), listing("bundle/rootfs"));
    assert!(listing("by-tar").contains("etc/conf -rwsr-x---"));
    let stat: Value =
        serde_json::from_str(&lab.tool("umoci", ["stat", "--json", "--image", "layout:1.0"]))
            .unwrap();
    let layers =
        stat["history"].as_array().unwrap().iter().filter(|step| !step["layer"].is_null()).count();
    assert_eq!(layers, 3);
}

#[test]
fn an_unpacked_layer_equals_the_contents() {
    let lab = lab();
    let built = lab.build("name='x'\ncontents='tree'\n");
    fs::write(lab.path("layer.tar"), &built.layer_files()[0]).unwrap();
    fs::create_dir(lab.path("unpacked")).unwrap();
    lab.tool("tar", ["-xpf", "layer.tar", "-C", "unpacked"]);
    lab.tool("diff", ["-r", "--no-dereference", "tree", "unpacked"]);
}

#[test]
fn other_tools_read_an_image_without_layers() {
    let lab = Lab::new();
    lab.build_with(
        "name='x'\ntag='1'\narchitecture='arm64'\n[config]\nEnv=['A=1']\n",
        "dual.tar",
        &["--format", "dual"],
    );
    for image in ["docker-archive:dual.tar", "oci-archive:dual.tar"] {
        assert_eq!(strings(&inspected(&lab, image)["Env"]), ["A=1"]);
    }
}

#[test]
fn crane_reads_the_archives_that_it_supports() {
    let lab = lab();
    // crane does not support archives that are compressed as a whole, nor zstd layers.
    for (format, compress) in [("docker", "none"), ("dual", "none"), ("dual", "gzip")] {
        build(&lab, format, compress);
        let archive = format!("{format}-{compress}.tar");
        lab.tool(
            concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/crane"),
            ["validate", "--tarball", &archive],
        );
    }
}
