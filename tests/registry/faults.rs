//! Registries that break, are busy, stay silent, or lie.

use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::lab::Lab;
use crate::server::{Reply, Request, Server};
use crate::service::{Registry, recipe, seatrial};

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Whether this is the first of the requests that `matches`.
fn first(counter: &AtomicUsize, matches: bool) -> bool {
    matches && counter.fetch_add(1, Ordering::Relaxed) == 0
}

#[test]
fn a_push_goes_on_after_errors_that_pass() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let counters: [AtomicUsize; 4] = Default::default();
    let proxy = Server::before(registry.address, move |request: &Request| {
        let uploads = request.target.contains("/uploads/");
        let [busy, broken, lost, unavailable] = &counters;
        if first(busy, request.method == "HEAD" && request.target.contains("/blobs/")) {
            return Some(Reply::new(429, &[("Retry-After", "0")], ""));
        }
        if first(broken, request.method == "POST" && uploads) {
            return Some(Reply::new(503, &[], ""));
        }
        if first(lost, request.method == "PUT" && uploads) {
            return Some(Reply::Close);
        }
        let manifest = request.method == "PUT" && request.target.contains("/manifests/");
        // A proxy's own number for a registry that does not answer.
        first(unavailable, manifest).then(|| Reply::new(520, &[], ""))
    });
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
}

#[test]
fn manifests_and_configs_whose_answers_break_are_asked_for_again() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
    let (upstream, cuts) = (registry.address, [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let proxy = Server::before(upstream, move |request| {
        let [manifest, config] = &cuts;
        match crate::server::forward(upstream, request) {
            Reply::Answer { status, headers, body } if request.method == "GET" && status == 200 => {
                let is_cut = match request.target.contains("/manifests/") {
                    true => first(manifest, true),
                    false => first(config, body.starts_with(b"{")),
                };
                is_cut.then_some(Reply::Cut(status, headers, body, 20))
            }
            _ => None,
        }
    });
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
    assert_eq!(proxy.count("GET", "/manifests/"), 2);
}

#[test]
fn a_download_continues_where_it_broke() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
    let (upstream, cuts) = (registry.address, AtomicUsize::new(0));
    let proxy = Server::before(upstream, move |request| {
        let is_blob = request.method == "GET" && request.target.contains("/blobs/");
        match crate::server::forward(upstream, request) {
            Reply::Answer { status, headers, body } if is_blob && body.len() > 100_000 => {
                let is_first = cuts.fetch_add(1, Ordering::Relaxed) == 0;
                is_first.then_some(Reply::Cut(status, headers, body, 100_000))
            }
            _ => None,
        }
    });
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
    let ranges: Vec<String> = proxy
        .requests()
        .iter()
        .filter_map(|request| request.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges, ["bytes=100000-"]);
}

/// A registry with one image of one layer, whose answers `change` may replace.
fn liar(change: impl Fn(&Request, &Reply) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let layer = [0; 1024].to_vec();
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
    });
    let config = config.to_string().into_bytes();
    let kind = |name: &str| format!("application/vnd.oci.image.{name}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind("manifest.v1+json"),
        "config": {
            "mediaType": kind("config.v1+json"), "digest": digest(&config), "size": config.len()
        },
        "layers": [
            { "mediaType": kind("layer.v1.tar"), "digest": digest(&layer), "size": layer.len() }
        ],
    });
    let manifest = manifest.to_string().into_bytes();
    Server::start(move |request| {
        let body = match request.target.rsplit('/').next().unwrap() {
            "1" => &manifest,
            name if name == digest(&config) => &config,
            name if name == digest(&layer) => &layer,
            "" => return Reply::new(200, &[], ""),
            _ => return Reply::new(404, &[], ""),
        };
        let kind = kind("manifest.v1+json");
        let answer = Reply::new(200, &[("Content-Type", &kind)], body.clone());
        change(request, &answer).unwrap_or(answer)
    })
}

/// Pulls from `server`, which must fail with `code`, and returns the message.
fn pull_fails(server: &Server, code: i32) -> String {
    let lab = Lab::new();
    let image = format!("{}/app:1", server.address);
    let pull = ["pull", &image, "-o", "x.tar", "--registry-timeout", "1"];
    let run = seatrial(&lab, pull);
    assert_eq!(run.output.status.code(), Some(code), "{}", run.stderr());
    assert!(!lab.exists("x.tar"));
    run.stderr()
}

#[test]
fn lies_about_digests_and_sizes_are_found() {
    let honest = liar(|_, _| None);
    let lab = Lab::new();
    seatrial(&lab, ["pull", &format!("{}/app:1", honest.address), "-o", "x.tar"]).ok();

    let blob = |request: &Request| request.target.contains("/blobs/");
    let other = liar(move |request, answer| match answer {
        Reply::Answer { headers, body, .. } if blob(request) && body.len() == 1024 => {
            let headers = headers.clone();
            Some(Reply::Answer { status: 200, headers, body: vec![1; 1024] })
        }
        _ => None,
    });
    let message = pull_fails(&other, 2);
    assert!(message.contains(&format!("expected {}", digest(&[0; 1024]))), "{message}");

    let longer = liar(move |request, answer| match answer {
        Reply::Answer { headers, body, .. } if blob(request) && body.len() == 1024 => {
            let headers = headers.clone();
            Some(Reply::Answer { status: 200, headers, body: vec![0; 4096] })
        }
        _ => None,
    });
    let message = pull_fails(&longer, 2);
    let expected = "is corrupted: it has more than the 1024 bytes of its descriptor";
    assert!(message.contains(expected), "{message}");

    // RFC 9112, section 6.3: the answer ends with the connection.
    let shorter = liar(move |request, answer| match answer {
        Reply::Answer { body, .. } if blob(request) && body.len() == 1024 => {
            Some(Reply::Raw([b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![0; 100]].concat()))
        }
        _ => None,
    });
    let message = pull_fails(&shorter, 2);
    let expected = "is corrupted: it has only 100 of the 1024 bytes of its descriptor";
    assert!(message.contains(expected), "{message}");
    assert_eq!(shorter.count("GET", &digest(&[0; 1024])), 6, "the usual number of attempts");
    let complete = liar(move |request, answer| match answer {
        Reply::Answer { body, .. } if blob(request) && body.len() == 1024 => {
            Some(Reply::new(200, &[], vec![0; 100]))
        }
        _ => None,
    });
    assert!(pull_fails(&complete, 2).contains(expected));
    assert_eq!(complete.count("GET", &digest(&[0; 1024])), 1, "it has that length");

    let manifest = liar(|request, answer| match answer {
        Reply::Answer { body, .. } if request.target.contains("/manifests/") => {
            let wrong = digest(b"x");
            let kind = "application/vnd.oci.image.manifest.v1+json";
            let headers = [("Docker-Content-Digest", &*wrong), ("Content-Type", kind)];
            Some(Reply::new(200, &headers, body.clone()))
        }
        _ => None,
    });
    assert!(pull_fails(&manifest, 2).contains("corrupted"));

    let endless = liar(|request, _| {
        let is_manifest = request.target.contains("/manifests/");
        is_manifest.then(|| Reply::new(200, &[], vec![b' '; 5 << 20]))
    });
    assert!(pull_fails(&endless, 3).contains("more than 4096 KiB"));
}

#[test]
fn documents_that_are_not_images_are_bad_input() {
    let of = |kind: &'static str, body: &'static str| {
        liar(move |request, _| {
            let is_manifest = request.target.contains("/manifests/");
            is_manifest.then(|| Reply::new(200, &[("Content-Type", kind)], body))
        })
    };
    let v1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let message = pull_fails(&of(v1, "{\"schemaVersion\": 1}"), 2);
    assert!(message.contains("manifest.v1+prettyjws\", which is not supported"), "{message}");
    let oci = "application/vnd.oci.image.manifest.v1+json";
    let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let manifest = |config: &str, layer: &str| -> &'static str {
        let text = json!({
            "schemaVersion": 2,
            "config": { "mediaType": config, "digest": empty, "size": 2 },
            "layers": [{ "mediaType": layer, "digest": empty, "size": 2 }],
        });
        Box::leak(text.to_string().into_boxed_str())
    };
    let image_config = "application/vnd.oci.image.config.v1+json";
    let erofs = manifest(image_config, "application/vnd.erofs.layer.v1");
    let message = pull_fails(&of(oci, erofs), 2);
    assert!(
        message.contains("a layer of the media type \"application/vnd.erofs.layer.v1\""),
        "{message}"
    );
    let chart = manifest("application/vnd.cncf.helm.config.v1+json", "application/x.tar");
    let message = pull_fails(&of(oci, chart), 2);
    assert!(message.contains("an artifact of the type application/vnd.cncf.helm"), "{message}");
    assert!(pull_fails(&of(oci, "no json"), 2).contains("not JSON"));
    assert!(pull_fails(&of(oci, "{\"schemaVersion\": 2}"), 2).contains("config"));
}

#[test]
fn a_silent_registry_ends_at_the_time_limit() {
    let silent = Server::start(|_| Reply::Silence);
    let message = pull_fails(&silent, 3);
    assert!(message.contains("did not answer for 1 s"), "{message}");
    assert_eq!(silent.requests().len(), 1, "a registry that does not answer is not asked again");
    let stuck = liar(|request, answer| match answer {
        Reply::Answer { .. } if request.target.contains("/manifests/") => Some(Reply::Silence),
        _ => None,
    });
    assert!(pull_fails(&stuck, 3).contains("did not answer for 1 s"));
    assert_eq!(stuck.count("GET", "/manifests/"), 1);
    let layer = digest(&[0; 1024]);
    let name = layer.clone();
    let stuck = liar(move |request, _| request.target.contains(&name).then_some(Reply::Silence));
    assert!(pull_fails(&stuck, 3).contains("did not answer for 1 s"));
    assert_eq!(stuck.count("GET", &layer), 1, "nor is it asked again for a layer");
}

#[test]
fn a_registry_that_stays_broken_is_an_environment_failure_and_nothing_is_tagged() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let proxy = Server::before(registry.address, |request| {
        let is_layer = request.method == "PUT" && request.body.len() > 100_000;
        is_layer.then(|| Reply::new(500, &[("Retry-After", "0")], ""))
    });
    let run = seatrial(&lab, ["push", "app.toml", &format!("{}/my/app:1", proxy.address)]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("answers 500"), "{}", run.stderr());
    assert_eq!(proxy.count("PUT", "/manifests/"), 0);
    // A registry that computes another digest than the one that was sent.
    let proxy = Server::before(registry.address, |request| {
        let commits = request.method == "PUT" && request.target.contains("/uploads/");
        let wrong = digest(b"x");
        commits.then(|| Reply::new(201, &[("Docker-Content-Digest", &wrong)], ""))
    });
    let run = seatrial(&lab, ["push", "app.toml", &format!("{}/my/app:1", proxy.address)]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("under the digest"), "{}", run.stderr());
    assert_eq!(proxy.count("PUT", "/manifests/"), 0);
}

#[test]
fn a_redirect_to_another_host_gets_no_credentials() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
    let upstream = registry.address;
    let storage = Server::before(upstream, |request| {
        assert_eq!(request.header("authorization"), None);
        None
    });
    let target = storage.address;
    let proxy = Server::before(upstream, move |request| {
        if request.header("authorization").is_none() {
            let challenge = "Basic realm=\"x\"";
            return Some(Reply::new(401, &[("WWW-Authenticate", challenge)], ""));
        }
        let is_blob = request.method == "GET" && request.target.contains("/blobs/");
        let location = format!("http://{target}{}", request.target);
        is_blob.then(|| Reply::new(307, &[("Location", &location)], ""))
    });
    let auths = json!({ "auths": { proxy.address.to_string(): { "auth": "YTpi" } } });
    lab.file("home/.docker/config.json", auths.to_string());
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
    assert_eq!(storage.count("GET", "/blobs/"), 2, "the config and the layer");
}
