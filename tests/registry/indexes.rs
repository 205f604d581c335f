//! Pushes to tags that are indexes already: which of their images the registry is asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::lab::Lab;
use crate::server::{Reply, Server};
use crate::service::{Registry, noise, recipe, seatrial};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The number of images that are asked for at the same time.
const ASKED: usize = 16;

/// A recipe for two platforms.
fn two_platforms() -> Lab {
    let lab = Lab::new();
    lab.file("root/data", noise(1000));
    lab.file(
        "app.toml",
        "name='x'\ntag='1'\ncontents=['root']\nplatforms=['linux/amd64', 'linux/arm64']\n",
    );
    lab
}

// The registry's own cleaning removes images without a tag, also those of an index.
#[test]
fn images_of_an_index_that_the_registry_has_lost_are_sent_again() {
    let (lab, registry) = (two_platforms(), Registry::start());
    let put = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&put);
    let proxy = Server::before(registry.address, move |request| {
        let is_child = request.target.contains("/manifests/sha256:");
        if is_child && request.method == "PUT" {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        (is_child && request.method == "HEAD").then(|| Reply::new(404, &[], ""))
    });
    let image = format!("{}/my/app:1", proxy.address);
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    assert_eq!(put.swap(0, Ordering::Relaxed), 2);
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    assert_eq!(put.load(Ordering::Relaxed), 2);
}

#[test]
fn a_lost_image_is_sent_again_if_the_registry_gives_no_answer_about_another() {
    let (lab, registry) = (two_platforms(), Registry::start());
    let asked = AtomicUsize::new(0);
    let proxy = Server::before(registry.address, move |request| {
        let asks = request.method == "HEAD" && request.target.contains("/manifests/sha256:");
        // Not an error that passes: it is not asked again.
        let status = || if asked.fetch_add(1, Ordering::Relaxed) == 0 { 400 } else { 404 };
        asks.then(|| Reply::new(status(), &[], ""))
    });
    let image = format!("{}/my/app:1", proxy.address);
    for pushes in 1..=2 {
        seatrial(&lab, ["push", "app.toml", &image]).ok();
        assert_eq!(proxy.count("PUT", "/manifests/sha256:"), 2 * pushes);
    }
}

/// Indexes by digest, as a registry has them.
#[derive(Clone, Default)]
struct Indexes(BTreeMap<String, Vec<u8>>);

impl Indexes {
    /// Adds an index of `entries` with `padding` more bytes, and returns its descriptor.
    fn add(&mut self, entries: &[Value], padding: usize) -> Value {
        let pad = "x".repeat(padding);
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": entries,
            "annotations": { "pad": pad }
        });
        let bytes = index.to_string().into_bytes();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        let descriptor = json!({ "mediaType": INDEX, "digest": digest, "size": bytes.len() });
        self.0.insert(digest, bytes);
        descriptor
    }
}

/// Descriptors of `count` images that no registry has; other ones for another `seed`.
fn absent(seed: usize, count: usize) -> Vec<Value> {
    let digest = |number| hex::encode(Sha256::digest(format!("{seed} {number}")));
    let entry = |number| {
        let digest = format!("sha256:{}", digest(number));
        json!({ "mediaType": MANIFEST, "digest": digest, "size": 2 })
    };
    (0..count).map(entry).collect()
}

/// Pushes to a tag of a registry that has `root` there, and `indexes`. `asked` is called whenever
/// another image is asked for. Returns how many of them are.
fn push_to(indexes: Indexes, root: &Value, asked: impl Fn() + Send + Sync + 'static) -> usize {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let root = root["digest"].as_str().unwrap().to_owned();
    let proxy = Server::before(registry.address, move |request| {
        let (_, name) = request.target.split_once("/manifests/")?;
        let digest = if name == "1" { &root } else { name };
        if request.method == "HEAD" && name != "1" {
            asked();
        }
        let headers = [("Docker-Content-Digest", digest), ("Content-Type", INDEX)];
        match (request.method.as_str(), indexes.0.get(digest)) {
            ("HEAD" | "GET", Some(bytes)) => Some(Reply::new(200, &headers, bytes.clone())),
            ("HEAD", None) => Some(Reply::new(404, &[], "")),
            _ => None,
        }
    });
    seatrial(&lab, ["push", "app.toml", &format!("{}/my/app:1", proxy.address)]).ok();
    proxy.count("HEAD", "/manifests/sha256:")
}

#[test]
fn a_hostile_index_does_not_make_a_push_ask_for_thousands_of_images() {
    for (outer, inner, padding, expected) in
        // Two levels with many images each, and ten indexes of almost 4 MiB.
        [(3000, 0, 0, 0), (20, 20, 0, 20), (10, 1, (39 << 20) / 10, 10)]
    {
        let mut indexes = Indexes::default();
        let entries = match inner {
            0 => absent(0, outer),
            _ => (0..outer).map(|one| indexes.add(&absent(one, inner), padding)).collect(),
        };
        let root = indexes.add(&entries, 0);
        let asked = push_to(indexes, &root, || ());
        assert!(asked <= expected, "{asked} instead of {expected}");
    }
}

#[test]
fn a_registry_is_asked_for_a_few_images_of_an_index_at_once() {
    let mut indexes = Indexes::default();
    let root = indexes.add(&absent(0, 200), 0);
    let (waiting, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (seen, is_open) = (Arc::clone(&most), (Mutex::new(false), Condvar::new()));
    let asked = push_to(indexes, &root, move || {
        let count = waiting.fetch_add(1, Ordering::SeqCst) + 1;
        seen.fetch_max(count, Ordering::SeqCst);
        let (open, changed) = &is_open;
        if count == ASKED {
            // The first ones are answered when others, if there are any, have arrived, too.
            (0..10_000).for_each(|_| std::thread::yield_now());
            *open.lock().unwrap() = true;
            changed.notify_all();
        }
        drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        waiting.fetch_sub(1, Ordering::SeqCst);
    });
    assert_eq!((asked, most.load(Ordering::SeqCst)), (200, ASKED));
}
