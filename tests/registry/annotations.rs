//! Annotations of images that are pushed under new manifests.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::server::{Request, forward};
use crate::service::{self, Registry, seatrial, skopeo};

/// The manifest or index of an image, as skopeo fetches it.
fn raw(lab: &Lab, image: &str) -> Value {
    let name = format!("docker://{image}");
    service::json(&skopeo(lab, ["inspect", "--tls-verify=false", "--raw", &name]))
}

/// Builds an OCI layout whose layers are not compressed.
fn build(lab: &Lab, more: &str, output: &str) {
    service::recipe(lab, more);
    let build = ["build", "app.toml", "--format", "oci", "--compress", "none", "-o", output];
    seatrial(lab, build).ok();
}

#[test]
fn annotations_are_kept_if_an_image_gets_a_new_manifest() {
    let (lab, registry) = (Lab::new(), Registry::start());
    build(&lab, "annotations = { x = '1', 'org.example.y' = 'z' }", "plain.tar");
    let image = registry.name("app:1");
    seatrial(&lab, ["push", "plain.tar", &image]).ok();
    let expected = json!({ "x": "1", "org.example.y": "z" });
    assert_eq!(raw(&lab, &image)["annotations"], expected);
    // With other media types, and from a registry.
    let (from, other) = (format!("docker://{image}"), registry.name("other:1"));
    seatrial(&lab, ["push", &from, &other, "--media-types", "oci"]).ok();
    assert_eq!(raw(&lab, &other)["annotations"], expected);
    seatrial(&lab, ["build", "app.toml", "--format", "dual", "-o", "dual.tar"]).ok();
    seatrial(&lab, ["push", "dual.tar", &registry.name("dual:1")]).ok();
    assert_eq!(raw(&lab, &registry.name("dual:1"))["annotations"], expected);
}

#[test]
fn annotations_that_docker_media_types_cannot_have_are_named() {
    let (lab, registry) = (Lab::new(), Registry::start());
    build(&lab, "annotations = { x = '1' }", "plain.tar");
    for (from, number) in [("plain.tar", 1), ("app.toml", 2)] {
        let image = registry.name(&format!("app:{number}"));
        let run = seatrial(&lab, ["push", from, &image, "--media-types", "docker"]);
        assert!(run.stderr().contains("note: left out the annotations"), "{}", run.stderr());
        run.ok();
        assert_eq!(raw(&lab, &image)["annotations"], Value::Null);
    }
}

/// Pushes an index of images with annotations to `image`, in the repository `app`, and returns it.
fn push_index(lab: &Lab, image: &str) -> Value {
    let platforms = "annotations = { x = '1' }\nplatforms = ['linux/amd64', 'linux/arm64']";
    service::recipe(lab, "");
    let text = std::fs::read_to_string(lab.path("app.toml")).unwrap();
    lab.file("app.toml", text.replace("architecture = 'amd64'", platforms));
    seatrial(lab, ["push", "app.toml", image]).ok();
    raw(lab, image)
}

/// Puts `index` under the tag `1` of the repository `app`, as another client would.
fn put(registry: &Registry, index: &Value) {
    let body = index.to_string().into_bytes();
    let header = |name: &str, value: String| (name.to_owned(), value);
    let headers = vec![
        header("Host", registry.address.to_string()),
        header("Content-Type", index["mediaType"].as_str().unwrap().to_owned()),
        header("Content-Length", body.len().to_string()),
    ];
    let (method, target) = ("PUT".to_owned(), "/v2/app/manifests/1".to_owned());
    forward(registry.address, &Request { method, target, headers, body });
}

#[test]
fn an_index_and_its_entries_keep_their_own_annotations() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let image = registry.name("app:1");
    let mut index = push_index(&lab, &image);
    // Annotations that the manifests lack.
    index["annotations"]["own"] = "2".into();
    index["manifests"][1]["annotations"] = json!({ "entry": "3" });
    put(&registry, &index);
    assert_eq!(raw(&lab, &image), index);
    let (from, other) = (format!("docker://{image}"), registry.name("other:1"));
    seatrial(&lab, ["push", &from, &other, "--media-types", "oci"]).ok();
    let pushed = raw(&lab, &other);
    assert_eq!(pushed["annotations"], json!({ "x": "1", "own": "2" }));
    assert_eq!(pushed["manifests"][0]["annotations"], Value::Null);
    assert_eq!(pushed["manifests"][1]["annotations"], json!({ "entry": "3" }));
    let push = ["push", &from, &registry.name("docker:1"), "--media-types", "docker"];
    seatrial(&lab, push).ok();
    let pushed = raw(&lab, &registry.name("docker:1"));
    assert_eq!(pushed["manifests"][1]["annotations"], Value::Null);
}

// OCI image-spec, annotations.md: `ref.name` is only for the index of a layout.
#[test]
fn images_that_a_layout_lists_one_by_one_keep_their_annotations() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let index = push_index(&lab, &registry.name("app:1"));
    let from = format!("docker://{}", registry.name("app:1"));
    skopeo(&lab, ["copy", "--src-tls-verify=false", "--all", &from, "oci:layout:1"]);
    let mut listed = index.clone();
    for number in 0..2 {
        let entry = &mut listed["manifests"][number];
        entry["annotations"] = json!({
            "org.opencontainers.image.ref.name": "1",
            "io.containerd.image.name": "docker.io/library/app:1",
            "number": number.to_string(),
        });
    }
    lab.file("layout/index.json", listed.to_string());
    for more in [&[][..], &["--media-types", "oci"]] {
        let other = registry.name(&format!("other:{}", more.len()));
        seatrial(&lab, [&["push", "oci:layout:1", &other], more].concat()).ok();
        let pushed = raw(&lab, &other);
        for number in 0..2 {
            let annotations = &pushed["manifests"][number]["annotations"];
            assert_eq!(*annotations, json!({ "number": number.to_string() }), "{pushed}");
        }
    }
}
