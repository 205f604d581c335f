//! Base images in registries, and the lock file.

use std::fs;

use crate::lab::{Lab, strings};
use crate::server::Server;
use crate::service::{self, Registry, json, seatrial};

/// Pushes a base image whose file `version` has `content`, and returns its name.
fn push_base(lab: &Lab, registry: &Registry, content: &str) -> String {
    lab.file("base/version", content);
    lab.file(
        "base.toml",
        "name='base'\ntag='1'\narchitecture='amd64'\ncontents=['base']\n[config]\nEnv=['B=1']\n",
    );
    let image = registry.name("base:1");
    seatrial(lab, ["push", "base.toml", &image]).ok();
    image
}

fn recipe(lab: &Lab, from_image: &str) {
    lab.file("own/own", "1");
    lab.file(
        "app.toml",
        format!(
            "name='app'\ntag='1'\narchitecture='amd64'\ncontents=['own']\n\
             from_image={from_image}\n[config]\nEnv=['A=1']\n"
        ),
    );
}

fn build(lab: &Lab, output: &str) -> serde_json::Value {
    json(&seatrial(lab, ["build", "app.toml", "-o", output, "--json"]).ok())
}

#[test]
fn a_recipe_builds_on_an_image_in_a_registry_and_locks_it() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = push_base(&lab, &registry, "1");
    recipe(&lab, &format!("'docker://{base}'"));
    let first = build(&lab, "a.tar");
    assert_eq!(strings(&first["env"]), ["B=1", "A=1"]);
    assert_eq!(first["layers"][0]["base"], true);
    let lock = fs::read_to_string(lab.path("seatrial.lock")).unwrap();
    assert!(lock.contains(&format!("reference = \"{base}\"")), "{lock}");
    assert!(lock.contains("platform = \"linux/amd64\"") && lock.contains("locked = \""), "{lock}");

    // The tag changes; the recipe does not notice.
    push_base(&lab, &registry, "2");
    assert_eq!(build(&lab, "b.tar")["id"], first["id"]);
    assert_eq!(fs::read(lab.path("a.tar")).unwrap(), fs::read(lab.path("b.tar")).unwrap());
    assert_eq!(fs::read_to_string(lab.path("seatrial.lock")).unwrap(), lock);
    assert!(seatrial(&lab, ["lock", "app.toml"]).ok().starts_with(&format!("{base} linux/amd64")));
    assert_eq!(fs::read_to_string(lab.path("seatrial.lock")).unwrap(), lock);

    let updated = seatrial(&lab, ["lock", "app.toml", "--update"]).ok();
    assert!(updated.contains("(was sha256:"), "{updated}");
    let second = build(&lab, "c.tar");
    assert_ne!(second["id"], first["id"]);

    // Everything that is needed is in the cache.
    drop(registry);
    assert_eq!(build(&lab, "d.tar")["id"], second["id"]);
}

#[test]
fn a_lock_that_contradicts_the_registry_says_how_to_mend_it() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = push_base(&lab, &registry, "1");
    recipe(&lab, &format!("'docker://{base}'"));
    build(&lab, "a.tar");
    let lock = fs::read_to_string(lab.path("seatrial.lock")).unwrap();
    let start = lock.find("digest = \"sha256:").unwrap() + 17;
    let other = format!("{}{}{}", &lock[..start], "0".repeat(64), &lock[start + 64..]);
    lab.file("seatrial.lock", other);
    let message = seatrial(&lab, ["build", "app.toml", "-o", "x.tar"]).rejected(&lab, "x.tar");
    assert!(message.contains("seatrial lock --update"), "{message}");
    lab.file("seatrial.lock", "version = 2\n");
    let message = seatrial(&lab, ["build", "app.toml", "-o", "x.tar"]).rejected(&lab, "x.tar");
    assert!(message.contains("unknown version 2"), "{message}");
    lab.file("seatrial.lock", "version = 1\nimages = []\n");
    let message = seatrial(&lab, ["build", "app.toml", "-o", "x.tar"]).rejected(&lab, "x.tar");
    assert!(message.contains("seatrial.lock:2") && message.contains("image"), "{message}");
}

#[test]
fn a_digest_needs_no_lock_and_the_arguments_of_pull_image_are_understood() {
    let (lab, registry) = (Lab::new(), Registry::start());
    push_base(&lab, &registry, "1");
    let digest =
        json(&seatrial(&lab, ["push", "base.toml", &registry.name("base:1"), "--json"]).ok());
    let digest = digest["digest"].as_str().unwrap();
    recipe(&lab, &format!("'docker://{}'", registry.name(&format!("base@{digest}"))));
    let first = build(&lab, "a.tar");
    assert!(!lab.exists("seatrial.lock"));
    let table = serde_json::json!({
        "name": "app", "tag": "1", "copyToRoot": ["own"], "config": { "Env": ["A=1"] },
        "fromImage": {
            "imageName": registry.name("base"), "imageDigest": digest, "finalImageName": "base",
            "finalImageTag": "1", "os": "linux", "arch": "amd64", "hash": "sha256-AAAA",
        },
    });
    lab.file("app.json", table.to_string());
    let second = json(&seatrial(&lab, ["build", "app.json", "-o", "b.tar", "--json"]).ok());
    assert_eq!(second["id"], first["id"]);
    recipe(&lab, "{ imageName = 'a', imageDigest = 'sha256:1' }");
    assert!(seatrial(&lab, ["build", "app.toml"]).stderr().contains("imageDigest: invalid digest"));
    recipe(&lab, "{ imageName = 'a', imageTag = '1' }");
    let message = seatrial(&lab, ["build", "app.toml"]).stderr();
    assert!(message.contains("unknown key \"imageTag\""), "{message}");
}

#[test]
fn a_name_of_an_image_where_a_file_is_expected_gets_a_hint() {
    let lab = Lab::new();
    for name in ["debian:12", "registry.example/my/base", "localhost:5000/base:1"] {
        recipe(&lab, &format!("'{name}'"));
        let message = seatrial(&lab, ["build", "app.toml", "-o", "x.tar"]).rejected(&lab, "x.tar");
        assert!(message.contains(&format!("write \"docker://{name}\"")), "{message}");
    }
    recipe(&lab, "'docker-daemon:debian:12'");
    assert!(seatrial(&lab, ["build", "app.toml"]).stderr().contains("cannot be in a daemon"));
}

#[test]
fn prefixes_name_the_kind_of_file() {
    let lab = Lab::new();
    lab.file("base/version", "1");
    lab.file("base.toml", "name='base'\ntag='1'\narchitecture='amd64'\ncontents=['base']\n");
    for (format, output) in [("docker", "docker.tar"), ("oci", "oci.tar")] {
        seatrial(&lab, ["build", "base.toml", "--format", format, "-o", output]).ok();
    }
    fs::create_dir(lab.path("layout")).unwrap();
    lab.tool("tar", ["-xf", "oci.tar", "-C", "layout"]);
    let ids: Vec<_> = ["docker-archive:docker.tar", "oci-archive:oci.tar", "oci:layout", "layout"]
        .iter()
        .map(|base| {
            recipe(&lab, &format!("'{base}'"));
            build(&lab, "x.tar")["id"].clone()
        })
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    for (wrong, part) in [
        ("docker-archive:oci.tar", "OCI layout, not a docker-archive"),
        ("oci:oci.tar", "not a folder"),
        ("docker-archive:layout", "it is a folder"),
    ] {
        recipe(&lab, &format!("'{wrong}'"));
        let message = seatrial(&lab, ["build", "app.toml", "-o", "y.tar"]).rejected(&lab, "y.tar");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn the_layers_of_a_base_are_mounted_in_the_same_registry() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = push_base(&lab, &registry, "1");
    recipe(&lab, &format!("'docker://{base}'"));
    let pushed = seatrial(&lab, ["push", "app.toml", &registry.name("app:1"), "--json"]).ok();
    let pushed = &json(&pushed)["pushed"][0];
    assert_eq!((&pushed["mounted"], &pushed["sent"]), (&1.into(), &2.into()), "{pushed}");
}

/// Pushes the recipe to a registry that counts. Returns the report, and the number of blobs that
/// were downloaded.
fn push_and_count(lab: &Lab, counting: &Server, image: &str) -> (serde_json::Value, usize) {
    let before = counting.count("GET", "/blobs/");
    let pushed = json(&seatrial(lab, ["push", "app.toml", image, "--json"]).ok());
    (pushed["pushed"][0].clone(), counting.count("GET", "/blobs/") - before)
}

/// A registry with a base image, a server before it that counts requests, and a recipe in `lab`
/// that changes only settings of the base.
fn base_with_other_settings(lab: &Lab) -> (Registry, Server) {
    let registry = Registry::start();
    push_base(&Lab::new(), &registry, "1");
    let counting = Server::before(registry.address, |_| None);
    let from = format!("from_image='docker://{}/base:1'", counting.address);
    let recipe = format!("name='app'\ntag='1'\narchitecture='amd64'\n{from}\n[config]\nUser='1'\n");
    lab.file("app.toml", recipe);
    (registry, counting)
}

#[test]
fn a_base_is_not_downloaded_if_its_files_are_not_needed_and_the_registry_has_it() {
    let lab = Lab::new();
    let (_registry, counting) = base_with_other_settings(&lab);
    let name = |name: &str| format!("{}/{name}", counting.address);
    let (pushed, downloads) = push_and_count(&lab, &counting, &name("app:1"));
    assert_eq!(downloads, 1, "only the config: {pushed}");
    assert_eq!((&pushed["mounted"], &pushed["sent"]), (&1.into(), &1.into()), "{pushed}");
    seatrial(&Lab::new(), ["pull", &name("app:1"), "-o", "x.tar"]).ok();
}

#[test]
fn docker_media_types_need_no_layer_of_a_base_that_is_compressed_with_gzip() {
    let lab = Lab::new();
    let (_registry, counting) = base_with_other_settings(&lab);
    let name = |name: &str| format!("{}/{name}", counting.address);
    seatrial(&lab, ["push", "app.toml", &name("app:1"), "--media-types", "docker"]).ok();
    assert_eq!(counting.count("GET", "/blobs/"), 1, "only the config");
    seatrial(&Lab::new(), ["pull", &name("app:1"), "-o", "x.tar"]).ok();
}

#[test]
fn the_files_of_a_base_are_found_out_once() {
    let registry = Registry::start();
    push_base(&Lab::new(), &registry, "1");
    let counting = Server::before(registry.address, |_| None);
    let name = |name: &str| format!("{}/{name}", counting.address);
    let lab = Lab::new();
    recipe(&lab, &format!("'docker://{}'", name("base:1")));
    let (_, downloads) = push_and_count(&lab, &counting, &name("app:1"));
    assert_eq!(downloads, 2, "the config and the layer");
    // The blobs are gone from the cache.
    fs::remove_dir_all(lab.cache_path("seatrial/registry-blobs")).unwrap();
    lab.file("own/own", "2");
    let (pushed, downloads) = push_and_count(&lab, &counting, &name("app:1"));
    assert_eq!(downloads, 1, "only the config of the base: {pushed}");
    let other = Lab::new();
    recipe(&other, &format!("'docker://{}'", name("base:1")));
    other.file("own/own", "2");
    let again = json(&seatrial(&other, ["push", "app.toml", &name("app:2"), "--json"]).ok());
    let digest = pushed["reference"].as_str().unwrap().split_once('@').unwrap().1.to_owned();
    assert_eq!(again["digest"], digest, "the same image without the cache");
}

#[test]
fn a_damaged_layer_of_a_base_is_fetched_again() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = push_base(&lab, &registry, "1");
    recipe(&lab, &format!("'docker://{base}'"));
    for format in ["docker", "oci"] {
        let build = |output: &str| {
            seatrial(&lab, ["build", "app.toml", "--format", format, "-o", output]).ok();
            fs::read(lab.path(output)).unwrap()
        };
        let first = build("a.tar");
        let is_layer = |content: &[u8]| content.starts_with(&[0x1f, 0x8b]);
        for path in lab.cached_files("registry-blobs") {
            let mut content = fs::read(&path).unwrap();
            if is_layer(&content) {
                let middle = content.len() / 2;
                content[middle] ^= 1;
                fs::write(&path, content).unwrap();
            }
        }
        assert!(build("b.tar") == first, "{format}");
    }
}

#[test]
fn builds_at_the_same_time_lock_their_bases_in_one_file() {
    let (lab, registry) = (Lab::new(), Registry::start());
    service::recipe(&lab, "");
    let tags: Vec<String> = (0..8).map(|number| registry.name(&format!("base:{number}"))).collect();
    let mut push = vec!["push", "app.toml"];
    push.extend(tags.iter().map(String::as_str));
    seatrial(&lab, push).ok();
    std::thread::scope(|scope| {
        for (number, tag) in tags.iter().enumerate() {
            let (lab, file) = (&lab, format!("{number}.toml"));
            lab.file(&file, format!("name = 'x'\ntag = '1'\nfrom_image = 'docker://{tag}'\n"));
            scope.spawn(move || {
                seatrial(lab, ["build", &file, "-o", &format!("{number}.tar")]).ok();
            });
        }
    });
    let lock = fs::read_to_string(lab.path("seatrial.lock")).unwrap();
    for tag in tags {
        assert!(lock.contains(&format!("reference = \"{tag}\"")), "{tag} in {lock}");
    }
}
