//! Images that are made to hurt, in a registry and in an OCI layout: both are copied document by
//! document.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::lab::{Lab, Run};
use crate::server::{Reply, Request, Server};
use crate::service::seatrial;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Blobs and documents by digest.
#[derive(Clone, Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Adds `bytes`, and returns their descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let (digest, size) = (digest(&bytes), bytes.len());
        self.0.insert(digest.clone(), bytes);
        json!({ "mediaType": media_type, "digest": digest, "size": size })
    }

    fn index(&mut self, manifests: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        self.add(INDEX, index.to_string().into_bytes())
    }

    fn manifest(&mut self, config: &Value, layer: &Value) -> Value {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]
        });
        self.add(MANIFEST, manifest.to_string().into_bytes())
    }

    /// The config and the layer of a small image.
    fn parts(&mut self) -> (Value, Value) {
        let layer = self.add(LAYER, vec![0; 1024]);
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] }
        });
        (self.add(CONFIG, config.to_string().into_bytes()), layer)
    }

    fn image(&mut self) -> Value {
        let (config, layer) = self.parts();
        self.manifest(&config, &layer)
    }

    /// A registry that has them, and `root` under every tag.
    fn serve(&self, root: &Value) -> Server {
        let (blobs, root) = (self.clone(), root.clone());
        Server::start(move |request: &Request| {
            if request.target == "/v2/" {
                return Reply::new(200, &[], "");
            }
            let name = request.target.rsplit('/').next().unwrap();
            let name = if name.contains(':') { name } else { root["digest"].as_str().unwrap() };
            match blobs.0.get(name) {
                Some(bytes) => Reply::new(200, &[], bytes.clone()),
                None => Reply::new(404, &[], ""),
            }
        })
    }

    /// The folder of an OCI layout that has them, and lists `root`.
    fn layout(&self, lab: &Lab, root: &Value) {
        let _ = fs::remove_dir_all(lab.path("layout"));
        lab.file("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        let index = json!({ "schemaVersion": 2, "manifests": [root] });
        lab.file("layout/index.json", index.to_string());
        for (digest, bytes) in &self.0 {
            lab.file(format!("layout/blobs/{}", digest.replace(':', "/")), bytes);
        }
    }
}

/// Copies an image from both kinds of places.
fn copies(lab: &Lab, blobs: &Blobs, root: &Value, arguments: &[&str]) -> [Run; 2] {
    blobs.layout(lab, root);
    let server = blobs.serve(root);
    let remote = format!("docker://{}/x:1", server.address);
    let copy = |from: &str| {
        let _ = fs::remove_dir_all(lab.path("out"));
        let fixed = ["copy", from, "oci:out", "--no-cache"];
        seatrial(lab, [&fixed[..], arguments].concat())
    };
    let runs = [copy("oci:layout"), copy(&remote)];
    assert!(server.requests().len() < 40, "{} requests", server.requests().len());
    runs
}

/// Both copies must fail with a message that contains `expected`, and leave nothing.
fn rejected(lab: &Lab, blobs: &Blobs, root: &Value, expected: [&str; 2], arguments: &[&str]) {
    let runs = copies(lab, blobs, root, arguments);
    for (run, expected) in runs.into_iter().zip(expected) {
        assert!(matches!(run.output.status.code(), Some(2 | 3)), "{}", run.stderr());
        let message = run.stderr();
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(message.len() < 4000, "a message of {} bytes", message.len());
        assert!(!lab.exists("out/index.json"), "something was written: {message}");
    }
}

#[test]
fn nested_indexes_are_copied_but_not_searched_for_ever() {
    let (lab, mut blobs) = (Lab::new(), Blobs::default());
    let mut root = blobs.image();
    for _ in 0..10 {
        root = blobs.index(&[root]);
    }
    for run in copies(&lab, &blobs, &root, &[]) {
        run.ok();
    }
    let deep = "more than 4 levels of nested indexes";
    rejected(&lab, &blobs, &root, [deep, deep], &["--platform", "linux/amd64"]);
}

#[test]
fn what_is_listed_many_times_is_read_once() {
    let (lab, mut blobs) = (Lab::new(), Blobs::default());
    let image = blobs.image();
    let mut root = blobs.index(&vec![image; 5000]);
    // Twelve levels with two ways on each.
    for _ in 0..12 {
        root = blobs.index(&[root.clone(), root]);
    }
    for run in copies(&lab, &blobs, &root, &[]) {
        run.ok();
    }
}

#[test]
fn an_index_cannot_lead_back_to_itself() {
    let (lab, mut blobs) = (Lab::new(), Blobs::default());
    let image = blobs.image();
    let root = blobs.index(std::slice::from_ref(&image));
    // In the place of the image, there is the index that lists it.
    let (of_image, of_root) = (image["digest"].as_str().unwrap(), root["digest"].as_str().unwrap());
    let index = blobs.0[of_root].clone();
    blobs.0.insert(of_image.to_owned(), index);
    rejected(&lab, &blobs, &root, ["is corrupted", "is corrupted"], &[]);
}

#[test]
fn a_document_is_what_its_descriptor_says() {
    let (lab, mut blobs) = (Lab::new(), Blobs::default());
    let image = blobs.image();
    let mut index = blobs.index(std::slice::from_ref(&image));
    index["mediaType"] = MANIFEST.into();
    let root = blobs.index(&[index]);
    let no_config = "missing field `config`";
    rejected(&lab, &blobs, &root, [no_config, no_config], &[]);
    let mut manifest = image;
    manifest["mediaType"] = INDEX.into();
    let root = blobs.index(&[manifest]);
    let differently = "engines read it differently";
    rejected(&lab, &blobs, &root, [differently, differently], &[]);
}

#[test]
fn sizes_that_are_wrong_are_found() {
    let lab = Lab::new();
    let descriptor = "according to its descriptor";
    for size in [json!(1), json!(1_u64 << 60)] {
        let mut blobs = Blobs::default();
        let mut image = blobs.image();
        image["size"] = size.clone();
        let root = blobs.index(&[image]);
        rejected(&lab, &blobs, &root, [descriptor, descriptor], &[]);

        let (config, mut layer) = blobs.parts();
        layer["size"] = size.clone();
        let root = blobs.manifest(&config, &layer);
        rejected(&lab, &blobs, &root, [descriptor, "its descriptor"], &[]);

        let (mut config, layer) = blobs.parts();
        config["size"] = size;
        let root = blobs.manifest(&config, &layer);
        rejected(&lab, &blobs, &root, [descriptor, "its descriptor"], &[]);
    }
    for size in [json!(-1), json!(1.5), json!("1"), json!(1e300)] {
        let mut blobs = Blobs::default();
        let (config, mut layer) = blobs.parts();
        layer["size"] = size;
        let root = blobs.manifest(&config, &layer);
        rejected(&lab, &blobs, &root, ["invalid", "invalid"], &[]);
    }
}

#[test]
fn sizes_of_documents_are_checked_whether_they_are_cached_or_not() {
    let (lab, mut blobs) = (Lab::new(), Blobs::default());
    let (config, layer) = blobs.parts();
    let image = blobs.manifest(&config, &layer);
    let (mut short_config, mut short_image) = (config, image.clone());
    short_config["size"] = 12.into();
    short_image["size"] = 12.into();
    let roots = [blobs.manifest(&short_config, &layer), blobs.index(&[short_image])];
    for _ in 0..2 {
        for root in &roots {
            let server = blobs.serve(root);
            let run = seatrial(&lab, ["inspect", &format!("docker://{}/x:1", server.address)]);
            assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
            let problem = "bytes, but 12 according to its descriptor";
            assert!(run.stderr().contains(problem), "{}", run.stderr());
        }
        let server = blobs.serve(&image);
        seatrial(&lab, ["inspect", &format!("docker://{}/x:1", server.address)]).ok();
    }
}

#[test]
fn a_large_layer_in_the_cache_is_not_read_as_a_document() {
    let (lab, mut blobs) = (Lab::new(), Blobs::default());
    let layer = blobs.add(LAYER, vec![0; 6 << 20]);
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] }
    });
    let config = blobs.add(CONFIG, config.to_string().into_bytes());
    let image = blobs.manifest(&config, &layer);
    let server = blobs.serve(&image);
    seatrial(&lab, ["pull", &format!("{}/x:1", server.address), "-o", "x.tar"]).ok();
    let root = blobs.manifest(&layer, &layer);
    let server = blobs.serve(&root);
    let run = seatrial(&lab, ["inspect", &format!("docker://{}/x:1", server.address)]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("artifact of the type"), "{}", run.stderr());
    let mut as_config = layer.clone();
    as_config["mediaType"] = CONFIG.into();
    let root = blobs.manifest(&as_config, &layer);
    let server = blobs.serve(&root);
    let run = seatrial(&lab, ["inspect", &format!("docker://{}/x:1", server.address)]);
    assert!(run.stderr().contains("more than 4096 KiB"), "{}", run.stderr());
}

#[test]
fn the_number_and_the_size_of_documents_are_limited() {
    let (lab, mut blobs) = (Lab::new(), Blobs::default());
    // None of these is there.
    let absent = |number: usize| {
        let digest = digest(number.to_string().as_bytes());
        json!({ "mediaType": MANIFEST, "digest": digest, "size": 1 })
    };
    let root = blobs.index(&(0..12_000).map(absent).collect::<Vec<_>>());
    blobs.layout(&lab, &root);
    let run = seatrial(&lab, ["copy", "oci:layout", "oci:out"]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("more than 10000 manifests"), "{}", run.stderr());

    let mut blobs = Blobs::default();
    let large: Vec<Value> = (0..18)
        .map(|number| {
            let pad = "x".repeat((39 << 20) / 10);
            let index = json!({
                "schemaVersion": 2, "mediaType": INDEX, "manifests": [],
                "annotations": { "number": number.to_string(), "pad": pad }
            });
            blobs.add(INDEX, index.to_string().into_bytes())
        })
        .collect();
    let root = blobs.index(&large);
    let limit = "more than 64 MiB";
    rejected(&lab, &blobs, &root, [limit, limit], &[]);
}

#[test]
fn an_index_that_lists_a_missing_image_is_copied_even_if_a_mirror_lacks_everything() {
    let (lab, mut blobs) = (Lab::new(), Blobs::default());
    let image = blobs.image();
    let platform = json!({ "os": "linux", "architecture": "arm64" });
    let absent = digest(b"absent");
    let absent =
        json!({ "mediaType": MANIFEST, "digest": absent, "size": 6, "platform": platform });
    let root = blobs.index(&[image, absent]);
    let (registry, mirror) = (blobs.serve(&root), Server::start(|_| Reply::new(404, &[], "")));
    for mirrors in ["", &format!("[[registry.mirror]]\nlocation = '{}'\n", mirror.address)] {
        let settings = format!("[[registry]]\nlocation = '{}'\n{mirrors}", registry.address);
        lab.file("home/.config/containers/registries.conf", settings);
        let from = format!("docker://{}/x:1", registry.address);
        let run = seatrial(&lab, ["copy", &from, "oci:out", "--no-cache"]);
        assert!(run.stderr().contains("no image for linux/arm64"), "{}", run.stderr());
        run.ok();
        fs::remove_dir_all(lab.path("out")).unwrap();
    }
    assert!(mirror.count("GET", "/manifests/") > 1, "the mirror was asked");
}
