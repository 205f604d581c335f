//! Pushes to several repositories and tags at once.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

use crate::lab::Lab;
use crate::server::{Reply, Server};
use crate::service::{Registry, json, recipe, seatrial};

#[test]
fn no_tag_is_set_anywhere_if_one_registry_does_not_accept_the_manifest() {
    let (lab, registry, other) = (Lab::new(), Registry::start(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["build", "app.toml", "--format", "oci", "--compress", "gzip", "-o", "x.tar"])
        .ok();
    let text = fs::read_to_string(lab.path("app.toml")).unwrap();
    let several = "platforms = ['linux/amd64', 'linux/arm64']";
    lab.file("several.toml", text.replace("architecture = 'amd64'", several));
    let refusing = Server::before(other.address, |request| {
        let is_manifest = request.method == "PUT" && request.target.contains("/manifests/");
        let problem = r#"{"errors":[{"code":"MANIFEST_INVALID","message":"not this one"}]}"#;
        is_manifest.then(|| Reply::new(400, &[], problem))
    });
    let bad = format!("{}/my/app:1", refusing.address);
    let good = ["1", "2"].map(|tag| registry.name(&format!("my/app:{tag}")));
    for source in ["app.toml", "several.toml", "x.tar"] {
        for more in [&[][..], &["--sbom", "spdx"]] {
            let push = [&["push", source, &good[0], &good[1], &bad], more].concat();
            let message = seatrial(&lab, push).rejected(&lab, "x");
            assert!(message.contains("MANIFEST_INVALID: not this one"), "{message}");
        }
    }
    assert!(registry.count("PUT", "/manifests/sha256:") > 0, "{}", registry.log());
    for tag in ["/manifests/1", "/manifests/2"] {
        assert_eq!(registry.count("PUT", tag), 0, "{}", registry.log());
    }
    seatrial(&lab, ["push", "several.toml", &good[0], &good[1]]).ok();
    for image in good {
        let shown = seatrial(&lab, ["inspect", &format!("docker://{image}"), "--json"]).ok();
        assert_eq!(json(&shown)["architecture"], "amd64");
    }
}

fn push(lab: &Lab, arguments: &[&str]) -> Value {
    json(&seatrial(lab, [&["push", "--json"], arguments].concat()).ok())["pushed"].clone()
}

/// The numbers of blobs that each repository was sent, mounted and had.
fn counts(pushed: &Value) -> Vec<[u64; 3]> {
    let repositories = pushed.as_array().unwrap().iter();
    let count = |one: &Value, key: &str| one[key].as_u64().unwrap();
    repositories.map(|one| ["sent", "mounted", "present"].map(|key| count(one, key))).collect()
}

#[test]
fn a_blob_is_sent_to_each_registry_once_and_mounted_in_its_other_repositories() {
    let (lab, registry, other) = (Lab::new(), Registry::start(), Registry::start());
    recipe(&lab, "");
    let [a, b, c] = ["a/app:1", "b/app:1", "c/app:1"].map(|name| registry.name(name));
    let elsewhere = other.name("a/app:1");
    let images = ["app.toml", &a, &b, &elsewhere];
    let dry = push(&lab, &[&images[..], &["--dry-run"]].concat());
    assert_eq!(registry.writes(), 0);
    let pushed = push(&lab, &images);
    assert_eq!(counts(&pushed), [[2, 0, 0], [0, 2, 0], [2, 0, 0]], "{pushed}");
    assert_eq!(dry, pushed);
    assert_eq!(registry.count("PUT", "/uploads/"), 2, "{}", registry.log());
    // A computer that pushes the image for the first time does not know where blobs are.
    let stranger = Lab::new();
    recipe(&stranger, "");
    let images = ["app.toml", &c, &b];
    let dry = push(&stranger, &[&images[..], &["--dry-run"]].concat());
    let pushed = push(&stranger, &images);
    assert_eq!(counts(&pushed), [[0, 2, 0], [0, 0, 2]], "{pushed}");
    assert_eq!(dry, pushed);
    assert_eq!(registry.count("PUT", "/uploads/"), 2, "{}", registry.log());
    for image in [a, b, c, elsewhere] {
        seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
    }
}

#[test]
fn a_registry_is_asked_once_how_it_authenticates_for_all_of_its_repositories() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let counted = Server::before(registry.address, |_| None);
    let [a, b] = ["a/app:1", "b/app:1"].map(|name| format!("{}/{name}", counted.address));
    push(&lab, &["app.toml", &a, &b]);
    let asked = counted.requests().iter().filter(|request| request.target == "/v2/").count();
    assert_eq!(asked, 1);
}

#[test]
fn a_dry_run_finds_blobs_that_would_be_mounted() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let [a, b] = ["a/app:1", "b/app:1"].map(|name| registry.name(name));
    push(&lab, &["app.toml", &a]);
    let writes = registry.writes();
    let dry = push(&lab, &["app.toml", &b, "--dry-run"]);
    assert_eq!(registry.writes(), writes);
    assert_eq!((counts(&dry), &dry[0]["sent_bytes"]), (vec![[0, 2, 0]], &0.into()), "{dry}");
    assert_eq!(dry, push(&lab, &["app.toml", &b]));
}

#[test]
fn a_dry_run_counts_blobs_that_another_repository_lost_or_hides_as_sent() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let status = Arc::new(AtomicU16::new(0));
    let answered = Arc::clone(&status);
    let forgetful = Server::before(registry.address, move |request| {
        let is_blob = request.target.starts_with("/v2/a/app/blobs/sha256:");
        let asks = is_blob && request.method == "HEAD";
        let status = answered.load(Ordering::Relaxed);
        (asks && status > 0).then(|| Reply::new(status, &[], ""))
    });
    let name = |name: &str| format!("{}/{name}", forgetful.address);
    push(&lab, &["app.toml", &name("a/app:1")]);
    for answer in [404, 403] {
        status.store(answer, Ordering::Relaxed);
        let dry = push(&lab, &["app.toml", &name("b/app:1"), "--dry-run"]);
        assert_eq!(counts(&dry), [[2, 0, 0]], "{answer}: {dry}");
    }
    assert_eq!(forgetful.count("HEAD", "/v2/a/app/blobs/"), 6, "two for the push, and two each");
}

/// A registry in which manifests may not be read, and blobs neither if `everything` is true.
fn guarded(registry: &Registry, everything: bool) -> Server {
    Server::before(registry.address, move |request| {
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        let is_denied = everything || request.target.contains("/manifests/");
        let is_denied = is_denied && reads && request.target != "/v2/";
        is_denied.then(|| Reply::new(403, &[], ""))
    })
}

#[test]
fn an_account_that_may_push_but_not_read_manifests_pushes() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let server = guarded(&registry, false);
    let image = format!("{}/my/app:1", server.address);
    assert_eq!(counts(&push(&lab, &["app.toml", &image])), [[2, 0, 0]]);
    assert_eq!(counts(&push(&lab, &["app.toml", &image])), [[0, 0, 2]]);
    seatrial(&lab, ["pull", &registry.name("my/app:1"), "-o", "x.tar"]).ok();

    let server = guarded(&registry, true);
    let image = format!("{}/my/app:1", server.address);
    let message = seatrial(&lab, ["push", "app.toml", &image]).rejected(&lab, "x");
    assert!(message.contains("denies access to my/app"), "{message}");
    assert_eq!(server.count("POST", "") + server.count("PUT", ""), 0);
}

#[test]
fn a_registry_in_which_repositories_are_created_before_says_that_there_is_none() {
    let lab = Lab::new();
    recipe(&lab, "");
    // The answer of ECR.
    let problem =
        r#"{"errors":[{"code":"NAME_UNKNOWN","message":"The repository does not exist"}]}"#;
    let server = Server::start(move |request| match request.target.as_str() {
        "/v2/" => Reply::new(200, &[], ""),
        _ => Reply::new(404, &[], problem),
    });
    let image = format!("{}/my/app:1", server.address);
    let message = seatrial(&lab, ["push", "app.toml", &image]).rejected(&lab, "x");
    let expected = format!(
        "the registry {} has no repository my/app to push to; create it there first (NAME_UNKNOWN: \
         The repository does not exist)",
        server.address
    );
    assert!(message.contains(&expected), "{message}");
}
