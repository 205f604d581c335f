//! Uploads of blobs to registries of several kinds.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::lab::{Lab, Run};
use crate::server::{Reply, Request, Server, forward};
use crate::service::{self, Registry, noise, recipe, seatrial, skopeo};

/// A folder with a recipe whose layer has 40 MiB that cannot be compressed.
fn large_recipe() -> Lab {
    let lab = Lab::new();
    lab.file("root/large", noise(40 << 20));
    lab.file("app.toml", "name='x'\ntag='1'\ncontents=['root']\n");
    lab
}

/// The ranges of the parts of blobs that were sent with `method`; `whole` for a whole one.
fn ranges(proxy: &Server, method: &str) -> Vec<String> {
    let requests = proxy.requests();
    let is_upload =
        |one: &&Request| one.method == method && one.body.len() > 1 << 20 && one.target.len() > 9;
    let range = |one: &Request| one.header("content-range").unwrap_or("whole").to_owned();
    requests.iter().filter(is_upload).map(range).collect()
}

#[test]
fn a_large_blob_is_sent_in_chunks_and_continues_where_the_registry_says() {
    let (lab, registry) = (large_recipe(), Registry::start());
    let patches = AtomicUsize::new(0);
    let proxy = Server::before(registry.address, move |request| {
        if request.method != "PATCH" {
            return None;
        }
        // The second chunk does not arrive.
        (patches.fetch_add(1, Ordering::Relaxed) == 1).then_some(Reply::Close)
    });
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    let (first, second) = ("0-16777215", "16777216-33554431");
    let patched = ranges(&proxy, "PATCH");
    assert_eq!(patched, [first, second, second], "nothing is sent twice but the lost chunk");
    seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
}

/// Whether this is the first of the requests that `matches`.
fn first(counter: &AtomicUsize, matches: bool) -> bool {
    matches && counter.fetch_add(1, Ordering::Relaxed) == 0
}

/// GHCR answers 416 to chunks over 4 MiB, Google's registries know no chunks.
#[test]
fn a_large_blob_is_sent_in_one_request_to_registries_that_take_no_chunks() {
    for status in [404, 405, 416] {
        let (lab, registry) = (large_recipe(), Registry::start());
        let broken = AtomicUsize::new(0);
        let proxy = Server::before(registry.address, move |request| {
            if request.method == "PATCH" {
                return Some(Reply::new(status, &[], ""));
            }
            let is_large = request.method == "PUT" && request.body.len() > 32 << 20;
            first(&broken, is_large).then_some(Reply::Close)
        });
        let image = format!("{}/my/app:1", proxy.address);
        seatrial(&lab, ["push", "app.toml", &image]).ok();
        assert_eq!(ranges(&proxy, "PATCH").len(), 1, "{status}");
        assert_eq!(ranges(&proxy, "PUT"), ["whole", "whole"], "{status}");
        seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
    }
}

/// ECR goes on to tell the range of the first chunk.
#[test]
fn an_upload_whose_range_is_outdated_begins_again() {
    let (lab, registry) = (large_recipe(), Registry::start());
    let (upstream, patches) = (registry.address, AtomicUsize::new(0));
    let proxy = Server::before(upstream, move |request| {
        if request.method == "GET" && request.target.contains("/uploads/") {
            let headers = [("Range", "0-16777215"), ("Location", &*request.target)];
            return Some(Reply::new(204, &headers, ""));
        }
        // The second chunk arrives, but its answer does not.
        let is_second = request.method == "PATCH" && patches.fetch_add(1, Ordering::Relaxed) == 1;
        is_second.then(|| {
            forward(upstream, request);
            Reply::Close
        })
    });
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    let (first, second) = ("0-16777215", "16777216-33554431");
    assert_eq!(ranges(&proxy, "PATCH"), [first, second, second, first, second]);
    seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
}

#[test]
fn a_registry_that_mounts_nothing_and_hides_tags_gets_all_blobs() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let proxy = Server::before(registry.address, move |request| {
        let asks_for_tag = request.method == "HEAD" && request.target.contains("/manifests/");
        match request.target.contains("mount=") {
            true => Some(Reply::new(501, &[], "")),
            false => asks_for_tag.then(|| Reply::new(405, &[], "")),
        }
    });
    seatrial(&lab, ["push", "app.toml", &format!("{}/my/other:1", proxy.address)]).ok();
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    assert!(proxy.count("POST", "mount=") > 0);
    seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
}

/// Whether this ends the upload of the config.
fn ends_config(request: &Request) -> bool {
    request.method == "PUT" && request.body.starts_with(b"{") && request.target.contains("uploads")
}

fn push_impatiently(lab: &Lab, proxy: &Server) -> Run {
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(lab, ["push", "app.toml", &image, "--registry-timeout", "1"])
}

fn configs_sent(proxy: &Server) -> usize {
    proxy.requests().iter().filter(|request| ends_config(request)).count()
}

#[test]
fn an_upload_goes_on_after_a_time_limit() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let silent = AtomicUsize::new(0);
    let proxy = Server::before(registry.address, move |request| {
        first(&silent, ends_config(request)).then_some(Reply::Silence)
    });
    push_impatiently(&lab, &proxy).ok();
    assert_eq!(configs_sent(&proxy), 2);
    assert!(proxy.count("GET", "/uploads/") > 0, "the registry is asked how much it has");
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
}

#[test]
fn a_registry_that_stays_silent_ends_an_upload() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let is_silent = AtomicBool::new(false);
    let proxy = Server::before(registry.address, move |request| {
        is_silent.fetch_or(ends_config(request), Ordering::Relaxed);
        is_silent.load(Ordering::Relaxed).then_some(Reply::Silence)
    });
    let run = push_impatiently(&lab, &proxy);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("did not answer for 1 s"), "{}", run.stderr());
    assert_eq!(configs_sent(&proxy), 1);
    assert_eq!(proxy.count("PUT", "/manifests/"), 0);
}

#[test]
fn a_blob_is_not_sent_again_if_only_the_answer_was_lost() {
    for lost in [Reply::Close, Reply::Silence] {
        let (lab, registry) = (Lab::new(), Registry::start());
        recipe(&lab, "");
        let (upstream, ended) = (registry.address, AtomicUsize::new(0));
        let proxy = Server::before(upstream, move |request| {
            first(&ended, ends_config(request)).then(|| {
                forward(upstream, request);
                lost.clone()
            })
        });
        push_impatiently(&lab, &proxy).ok();
        assert_eq!(configs_sent(&proxy), 1);
    }
}

/// The digest of the first layer of an image, as skopeo reads it.
fn first_layer(lab: &Lab, image: &str) -> String {
    let name = format!("docker://{image}");
    let raw = service::json(&skopeo(lab, ["inspect", "--tls-verify=false", "--raw", &name]));
    raw["layers"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_blob_that_the_registry_has_lost_is_sent_again() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("my/app:1");
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    registry.lose("my/app", &first_layer(&lab, &image));
    let text = std::fs::read_to_string(lab.path("app.toml")).unwrap();
    lab.file("app.toml", text.replace("A=1", "A=2"));
    let before = registry.writes();
    let pushed = service::json(&seatrial(&lab, ["push", "--json", "app.toml", &image]).ok());
    assert_eq!(pushed["pushed"][0]["sent"], 2, "the config and the layer: {pushed}");
    assert_eq!(pushed["pushed"][0]["present"], 0, "{pushed}");
    assert_eq!(registry.count("PUT", "/manifests/"), 1 + 2, "it is asked twice");
    assert!(registry.writes() > before);
    seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
}

#[test]
fn a_blob_that_the_registry_claims_to_have_is_an_error_in_the_end() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let proxy = Server::before(registry.address, |request| {
        let sends_manifest = request.method == "PUT" && request.target.contains("/manifests/");
        let unknown = r#"{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "lost"}]}"#;
        sends_manifest.then(|| Reply::new(400, &[], unknown))
    });
    let run = seatrial(&lab, ["push", "app.toml", &format!("{}/my/app:1", proxy.address)]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("MANIFEST_BLOB_UNKNOWN: lost"), "{}", run.stderr());
    assert_eq!(proxy.count("PUT", "/manifests/"), 2);
}

#[test]
fn nothing_is_sent_again_to_a_registry_that_tells_no_digests() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let platforms = "platforms = ['linux/amd64', 'linux/arm64']";
    let text = std::fs::read_to_string(lab.path("app.toml")).unwrap();
    lab.file("app.toml", text.replace("architecture = 'amd64'", platforms));
    let upstream = registry.address;
    let proxy = Server::before(upstream, move |request| {
        let Reply::Answer { status, mut headers, body } = forward(upstream, request) else {
            return None;
        };
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("docker-content-digest"));
        Some(Reply::Answer { status, headers, body })
    });
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["push", "app.toml", &image, "--no-cache"]).ok();
    let before = registry.writes();
    seatrial(&lab, ["push", "app.toml", &image, "--no-cache"]).ok();
    assert_eq!(registry.writes(), before);
}
