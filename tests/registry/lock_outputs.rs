//! The lock file as an output of builds: it is in no image, and a build that fails writes none.

use std::collections::BTreeSet;
use std::fs;

use crate::lab::{Lab, members};
use crate::service::{Registry, json, seatrial};

/// Pushes a base image with a folder `/dir`, and makes a recipe `app.toml` for an image on it that
/// has the recipe and the lock file in its contents, and the keys `more`.
fn lab(registry: &Registry, more: &str) -> Lab {
    let name = registry.name("base:1");
    let base = Lab::new();
    base.file("base/dir/file", "x");
    base.file("base.toml", "name='base'\ntag='1'\ncontents='base'\n");
    seatrial(&base, ["push", "base.toml", &name]).ok();
    let lab = Lab::new();
    lab.file("app/file", "own");
    let contents = "contents=['app', {source='.', include=['*.toml', '*.lock']}]\n";
    lab.file("app.toml", format!("name='app'\n{contents}from_image='docker://{name}'\n{more}"));
    lab
}

fn listing(lab: &Lab) -> BTreeSet<String> {
    let names = fs::read_dir(lab.path("")).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_reference_is_the_same_before_and_after_the_build_that_writes_the_lock_file() {
    let registry = Registry::start();
    let lab = lab(&registry, "");
    let reference = || seatrial(&lab, ["reference", "app.toml"]).ok().trim().to_owned();
    let first = reference();
    let built = seatrial(&lab, ["build", "app.toml", "--json"]).ok();
    assert_eq!(json(&built)["reference"], first);
    assert!(lab.exists("seatrial.lock"));
    assert_eq!(reference(), first);
    let archive = fs::read(lab.path("app.tar")).unwrap();
    let top = members(&archive).into_iter().rfind(|one| one.name.ends_with("layer.tar")).unwrap();
    let files: Vec<String> = members(&top.content).into_iter().map(|one| one.name).collect();
    assert!(files.contains(&"app.toml".to_owned()), "{files:?}");
    assert!(!files.contains(&"seatrial.lock".to_owned()), "{files:?}");
    fs::remove_file(lab.path("seatrial.lock")).unwrap();
    assert!(seatrial(&lab, ["stream", "app.toml"]).output.stdout == archive);
    assert!(lab.exists("seatrial.lock"));
}

#[test]
fn a_lock_file_that_does_not_exist_yet_is_not_replaced_by_the_archive() {
    let registry = Registry::start();
    let lab = lab(&registry, "");
    let run = seatrial(&lab, ["build", "app.toml", "-o", "seatrial.lock"]);
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.stderr().contains("it is the recipe's lock file"), "{}", run.stderr());
    assert!(!lab.exists("seatrial.lock"));
}

#[test]
fn a_build_that_fails_writes_no_lock_file() {
    let registry = Registry::start();
    for (more, problem) in [
        ("max_layers = 1\n", "max_layers"),
        ("[[path]]\npath='/dir'\ncontent='x'\n", "dir"),
        ("[[path]]\npath='/file'\nowner='nobody-knows'\n", "nobody-knows"),
    ] {
        let lab = lab(&registry, more);
        let before = listing(&lab);
        let run = seatrial(&lab, ["build", "app.toml"]);
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        assert!(run.stderr().contains(problem), "{}", run.stderr());
        assert_eq!(listing(&lab), before, "{more}");
    }
}

#[test]
fn the_lock_file_is_not_in_the_image_for_a_platform_whose_base_is_a_file() {
    let registry = Registry::start();
    let lab = lab(&registry, "tag='1'\n");
    lab.file("local.toml", "name='base'\ntag='1'\narchitecture='arm64'\n");
    seatrial(&lab, ["build", "local.toml", "-o", "local.tar"]).ok();
    let text = fs::read_to_string(lab.path("app.toml")).unwrap();
    let platforms = "platforms=['linux/amd64', 'linux/arm64']\n";
    let local = "[per_platform.'linux/arm64']\nfrom_image='local.tar'\n";
    lab.file("app.toml", format!("{platforms}{text}{local}"));
    let build = || {
        seatrial(&lab, ["build", "app.toml", "--format", "oci"]).ok();
        fs::read(lab.path("app.tar")).unwrap()
    };
    let first = build();
    assert!(lab.exists("seatrial.lock"));
    assert!(build() == first);
    // Nor in that of another recipe in the folder.
    lab.file("other.toml", "name='other'\ncontents=[{source='.', include='*.lock'}]\n");
    let stream = seatrial(&lab, ["stream", "other.toml"]).output.stdout;
    fs::remove_file(lab.path("seatrial.lock")).unwrap();
    assert!(seatrial(&lab, ["stream", "other.toml"]).output.stdout == stream);
}
