//! `seatrial push`.

use std::fs::{self, File};

use serde_json::Value;

use crate::lab::{Lab, strings};
use crate::service::{Registry, crane, json, noise, recipe, seatrial, skopeo};

/// The manifest or index of an image, as skopeo fetches it.
fn raw(lab: &Lab, image: &str) -> String {
    skopeo(lab, ["inspect", "--tls-verify=false", "--raw", &format!("docker://{image}")])
}

fn push(lab: &Lab, arguments: &[&str]) -> Value {
    json(&seatrial(lab, [&["push", "--json"], arguments].concat()).ok())
}

#[test]
fn other_tools_read_what_was_pushed() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("my/app:1.0");
    let printed = seatrial(&lab, ["push", "app.toml", &image]).ok();
    let expected = format!("{}@", registry.name("my/app"));
    assert!(printed.starts_with(&expected), "{printed}");
    let digest = printed.trim().split_once('@').unwrap().1;
    let crane =
        |command: &str| lab.tool(crane().to_str().unwrap(), [command, "--insecure", &image]);
    assert_eq!(crane("digest").trim(), digest);
    let config = json(&crane("config"));
    assert_eq!(strings(&config["config"]["Env"]), ["A=1"]);
    // `validate` reads every layer and checks diff IDs and digests.
    lab.tool(
        crate::service::crane().to_str().unwrap(),
        ["validate", "--insecure", "--remote", &image],
    );
    let built = lab.build(&fs::read_to_string(lab.path("app.toml")).unwrap());
    assert_eq!(config["rootfs"]["diff_ids"], built.config()["rootfs"]["diff_ids"]);
    skopeo(
        &lab,
        ["copy", "-q", "--src-tls-verify=false", &format!("docker://{image}"), "dir:copy"],
    );
    let manifest = json(&raw(&lab, &image));
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
}

#[test]
fn a_second_push_sends_nothing_and_a_changed_file_only_its_layer() {
    let (lab, registry) = (Lab::with_store(), Registry::start());
    lab.file("root/a", "1");
    lab.file(
        "app.toml",
        format!("name='x'\ntag='1'\ncontents=['/nix/store/a-app', 'root']\n{}", crate::lab::STORE),
    );
    let image = registry.name("app:1");
    let first = push(&lab, &["app.toml", &image]);
    assert_eq!(first["pushed"][0]["sent"], 5, "four layers and the config: {first}");
    let writes = registry.writes();
    let second = push(&lab, &["app.toml", &image]);
    assert_eq!(second["digest"], first["digest"]);
    assert_eq!(
        (&second["pushed"][0]["sent"], &second["pushed"][0]["present"]),
        (&0.into(), &5.into())
    );
    assert_eq!(registry.writes(), writes);
    lab.file("root/a", "2");
    let changed = push(&lab, &["app.toml", &image]);
    assert_eq!(changed["pushed"][0]["sent"], 2, "one layer and the config: {changed}");
    assert_ne!(changed["digest"], first["digest"]);
}

#[test]
fn several_tags_and_repositories_get_the_same_image_and_blobs_are_mounted() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let names: Vec<String> =
        ["a/app:1", "a/app:2", "b/app:1"].iter().map(|name| registry.name(name)).collect();
    let pushed = push(&lab, &["app.toml", &names[0], &names[1], &names[2]]);
    assert_eq!(strings(&pushed["pushed"][0]["tags"]), ["1", "2"]);
    let manifests: Vec<String> = names.iter().map(|name| raw(&lab, name)).collect();
    assert!(manifests.iter().all(|manifest| *manifest == manifests[0]));
    let mounted = push(&lab, &["app.toml", &registry.name("c/app:1")]);
    assert_eq!(mounted["pushed"][0]["mounted"], 2, "{mounted}");
    assert_eq!(mounted["pushed"][0]["sent_bytes"], 0);
    assert_eq!(registry.count("POST", "mount="), 4, "two for each of b and c");
    assert_eq!(raw(&lab, &registry.name("c/app:1")), manifests[0]);
}

#[test]
fn a_recipe_with_several_platforms_becomes_an_index() {
    let (lab, registry) = (Lab::new(), Registry::start());
    lab.file("root/a", "1");
    lab.file(
        "app.toml",
        "name='x'\ntag='1'\ncontents=['root']\nplatforms=['linux/amd64', 'linux/arm64']\n",
    );
    let image = registry.name("multi:1");
    let pushed = push(&lab, &["app.toml", &image]);
    let index = json(&raw(&lab, &image));
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let archs: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(archs, ["amd64", "arm64"]);
    let digest = lab.tool(crane().to_str().unwrap(), ["digest", "--insecure", &image]);
    assert_eq!(digest.trim(), pushed["digest"].as_str().unwrap());
    for arch in ["amd64", "arm64"] {
        let name = format!("docker://{image}");
        let shown = skopeo(&lab, ["--override-arch", arch, "inspect", "--tls-verify=false", &name]);
        assert_eq!(json(&shown)["Architecture"], arch);
    }
    let writes = registry.writes();
    push(&lab, &["app.toml", &image]);
    assert_eq!(registry.writes(), writes);
}

#[test]
fn docker_media_types_and_zstd_are_written_on_request() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("docker:1");
    push(&lab, &["app.toml", &image, "--media-types", "docker"]);
    let manifest = json(&raw(&lab, &image));
    let prefix = "application/vnd.docker";
    assert_eq!(manifest["mediaType"], format!("{prefix}.distribution.manifest.v2+json"));
    assert_eq!(manifest["config"]["mediaType"], format!("{prefix}.container.image.v1+json"));
    let layer = &manifest["layers"][0]["mediaType"];
    assert_eq!(*layer, format!("{prefix}.image.rootfs.diff.tar.gzip"));
    let image = registry.name("zstd:1");
    push(&lab, &["app.toml", &image, "--compress", "zstd"]);
    let manifest = json(&raw(&lab, &image));
    let layer = &manifest["layers"][0]["mediaType"];
    assert_eq!(layer, "application/vnd.oci.image.layer.v1.tar+zstd");
    skopeo(
        &lab,
        ["copy", "-q", "--src-tls-verify=false", &format!("docker://{image}"), "dir:copy"],
    );
    let both = ["push", "app.toml", &image, "--compress", "zstd", "--media-types", "docker"];
    assert!(seatrial(&lab, both).rejected(&lab, "x").contains("zstd"));
}

#[test]
fn a_dry_run_counts_bytes_and_sends_nothing() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("dry:1");
    let dry = push(&lab, &["app.toml", &image, "--dry-run"]);
    assert_eq!(registry.writes(), 0);
    let real = push(&lab, &["app.toml", &image]);
    assert_eq!(dry["digest"], real["digest"]);
    assert_eq!(dry["pushed"][0]["sent_bytes"], real["pushed"][0]["sent_bytes"]);
    assert_eq!(push(&lab, &["app.toml", &image, "--dry-run"])["pushed"][0]["sent_bytes"], 0);
}

#[test]
fn archives_are_pushed_with_their_config_and_layers_unchanged() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let text = fs::read_to_string(lab.path("app.toml")).unwrap();
    for (format, compress) in [("docker", "none"), ("oci", "gzip"), ("oci", "zstd")] {
        let built = lab.build_with(&text, "x.tar", &["--format", format, "--compress", compress]);
        let image = registry.name(&format!("{format}-{compress}:1"));
        push(&lab, &["x.tar", &image]);
        let manifest = json(&raw(&lab, &image));
        assert_eq!(manifest["config"]["digest"], built.summary["id"], "{format} {compress}");
        if format == "oci" {
            assert_eq!(manifest["layers"][0]["digest"], built.summary["layers"][0]["digest"]);
        }
    }
    // As docker-archives have no compressed layers, they are compressed like new ones.
    let new = registry.name("new:1");
    push(&lab, &["app.toml", &new]);
    assert_eq!(raw(&lab, &new), raw(&lab, &registry.name("docker-none:1")));
}

#[test]
fn an_image_goes_from_one_registry_to_another() {
    let (lab, one, other) = (Lab::new(), Registry::start(), Registry::start());
    recipe(&lab, "");
    let (from, to) = (one.name("app:1"), other.name("copy:2"));
    push(&lab, &["app.toml", &from]);
    let fetched = one.count("GET", "/blobs/");
    push(&lab, &[&format!("docker://{from}"), &to]);
    assert_eq!(raw(&lab, &from), raw(&lab, &to));
    assert!(one.count("GET", "/blobs/") > fetched);
    // Another computer pushes the same image: nothing is downloaded, because it is there already.
    let (stranger, fetched) = (Lab::new(), one.count("GET", "/blobs/"));
    push(&stranger, &[&format!("docker://{from}"), &other.name("copy:3")]);
    assert_eq!(one.count("GET", "/blobs/"), fetched);
}

/// Changes a byte in the middle of each compressed layer in the cache.
fn damage_compressed_layers(lab: &Lab) {
    let folder = fs::read_dir(lab.cache_path("seatrial/blobs")).unwrap().next().unwrap().unwrap();
    for blob in fs::read_dir(folder.path()).unwrap().map(|blob| blob.unwrap().path()) {
        let mut bytes = fs::read(&blob).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&blob, bytes).unwrap();
    }
}

#[test]
fn a_damaged_layer_in_the_cache_is_made_again() {
    let (lab, one, other) = (Lab::new(), Registry::start(), Registry::start());
    recipe(&lab, "");
    let first = push(&lab, &["app.toml", &one.name("app:1")]);
    damage_compressed_layers(&lab);
    let again = push(&lab, &["app.toml", &other.name("app:1")]);
    assert_eq!(again["digest"], first["digest"]);
    lab.tool(
        crane().to_str().unwrap(),
        ["validate", "--insecure", "--remote", &other.name("app:1")],
    );
}

#[test]
fn a_damaged_layer_in_the_cache_is_made_again_while_another_one_is_compressed() {
    let lab = Lab::new();
    lab.file("root/srv/vendor/lib.py", noise(50_000));
    // It is compressed for longer than the registry takes to reject the damaged layer.
    let large = File::create(lab.file("root/srv/main.py", "")).unwrap();
    large.set_len(64 << 20).unwrap();
    lab.file(
        "app.toml",
        "name='my/app'\ntag='1.0'\ncontents='root'\n\
         [[layer]]\nname='dependencies'\npaths='/srv/vendor'\n",
    );
    let (one, other) = (Registry::start(), Registry::start());
    // Layers are cached when their files are old enough that their times would show a change.
    while lab.cached_files("layers").is_empty() {
        push(&lab, &["app.toml", &one.name("app:1")]);
    }
    damage_compressed_layers(&lab);
    large.set_len(65 << 20).unwrap();
    push(&lab, &["app.toml", &other.name("app:1")]);
    let image = other.name("app:1");
    lab.tool(crane().to_str().unwrap(), ["validate", "--insecure", "--remote", &image]);
}

#[test]
fn a_damaged_layer_of_an_archive_in_the_cache_is_compressed_again() {
    let (lab, one, other) = (Lab::new(), Registry::start(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["build", "app.toml", "-o", "x.tar"]).ok();
    let first = push(&lab, &["x.tar", &one.name("app:1")]);
    damage_compressed_layers(&lab);
    let again = push(&lab, &["x.tar", &other.name("app:1")]);
    assert_eq!(again["digest"], first["digest"]);
}

#[test]
fn references_that_cannot_be_pushed_to_are_bad_input() {
    let lab = Lab::new();
    recipe(&lab, "");
    let digest = format!("localhost:1/app@sha256:{}", "0".repeat(64));
    for (reference, part) in [(digest.as_str(), "not to a digest"), ("UPPER//x", "empty path")] {
        let run = seatrial(&lab, ["push", "app.toml", reference]);
        assert_eq!(run.output.status.code(), Some(2));
        assert!(run.stderr().contains(part), "{}", run.stderr());
    }
}

#[test]
fn lock_and_push_take_only_the_selected_platforms_of_a_recipe() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let platforms = "platforms=['linux/amd64', 'linux/arm64', 'linux/s390x']\n";
    lab.file("base.toml", format!("name='base'\ntag='1'\n{platforms}"));
    let (base, app) = (registry.name("base:1"), registry.name("app:1"));
    seatrial(&lab, ["push", "base.toml", &base]).ok();
    let recipe = format!("name='app'\ntag='1'\n{platforms}from_image='docker://{base}'\n");
    lab.file("app.toml", recipe);
    let locked = seatrial(&lab, ["lock", "app.toml", "--platform", "arm64"]).ok();
    assert!(locked.starts_with(&format!("{base} linux/arm64 sha256:")), "{locked}");
    assert_eq!(locked.lines().count(), 1, "{locked}");
    let listed = || -> Vec<String> {
        let image = format!("docker://{app}");
        let raw = json(&skopeo(&lab, ["inspect", "--tls-verify=false", "--raw", &image]));
        let manifests = raw["manifests"].as_array().cloned().unwrap_or_default().into_iter();
        manifests.map(|one| one["platform"]["architecture"].as_str().unwrap().into()).collect()
    };
    let push =
        |platforms: &str| seatrial(&lab, ["push", "app.toml", &app, "--platform", platforms]);
    push("linux/s390x,linux/amd64").ok();
    assert_eq!(listed(), ["amd64", "s390x"]);
    push("linux/arm64").ok();
    assert!(listed().iter().all(|architecture| architecture == "arm64"), "{:?}", listed());
    let image = format!("docker://{app}");
    let arm = ["--override-arch", "arm64", "inspect", "--tls-verify=false", "--config", &image];
    assert_eq!(json(&skopeo(&lab, arm))["architecture"], "arm64");
    let missing = push("ppc64le");
    assert!(
        missing.stderr().contains("there is no image for linux/ppc64le"),
        "{}",
        missing.stderr()
    );
}
