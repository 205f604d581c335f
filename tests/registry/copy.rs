//! `seatrial copy`, and `seatrial push` of images for several platforms.

use std::fs;

use serde_json::Value;

use crate::lab::{Lab, strings};
use crate::service::{Registry, crane, json, recipe, seatrial, skopeo};

/// Pushes an image for two platforms, and returns its reference and digest.
fn multi(lab: &Lab, registry: &Registry) -> (String, String) {
    lab.file("root/etc/motd", "ahoy\n");
    lab.file(
        "multi.toml",
        "name='multi'\ntag='1'\ncontents=['root']\nplatforms=['linux/amd64', 'linux/arm64']\n\
         [per_platform.\"linux/arm64\".config]\nEnv=['A=1']\n",
    );
    let image = registry.name("multi:1");
    let pushed = json(&seatrial(lab, ["push", "multi.toml", &image, "--json"]).ok());
    (image, pushed["digest"].as_str().unwrap().to_owned())
}

fn copy(lab: &Lab, arguments: &[&str]) -> Value {
    json(&seatrial(lab, [&["copy", "--json"], arguments].concat()).ok())
}

fn crane_digest(lab: &Lab, image: &str) -> String {
    let digest = lab.tool(crane().to_str().unwrap(), ["digest", "--insecure", image]);
    digest.trim().to_owned()
}

fn validate(lab: &Lab, image: &str) {
    lab.tool(crane().to_str().unwrap(), ["validate", "--insecure", "--remote", image]);
}

#[test]
fn all_platforms_go_through_every_kind_of_place_with_the_same_digests() {
    let (lab, one, other) = (Lab::new(), Registry::start(), Registry::start());
    let (image, digest) = multi(&lab, &one);
    let from = format!("docker://{image}");
    let to = other.name("copied/app:2");
    let places = ["oci:layout:x", "oci-archive:layout.tar:x", &format!("docker://{to}")];
    let mut source = from.as_str();
    for place in places {
        let copied = copy(&lab, &[source, place]);
        assert_eq!(copied["digest"], digest.as_str(), "{place}: {copied}");
        assert_eq!(strings(&copied["platforms"]), ["linux/amd64", "linux/arm64"], "{place}");
        source = place;
    }
    assert_eq!(crane_digest(&lab, &to), digest);
    validate(&lab, &to);
    // skopeo reads what was written, and finds the same digests.
    for (place, target) in [("oci:layout:x", "dir:a"), ("oci-archive:layout.tar:x", "dir:b")] {
        let all = ["copy", "-q", "--all", "--preserve-digests", place, target];
        skopeo(&lab, all);
        let manifest = fs::read(lab.path(&target[4..]).join("manifest.json")).unwrap();
        let sum = lab.tool("sha256sum", [&*format!("{}/manifest.json", &target[4..])]);
        assert_eq!(format!("sha256:{}", &sum[..64]), digest, "{place}");
        assert!(!manifest.is_empty());
    }
}

#[test]
fn what_skopeo_wrote_is_copied_with_the_same_digest() {
    let (lab, one, other) = (Lab::new(), Registry::start(), Registry::start());
    let (image, digest) = multi(&lab, &one);
    let from = format!("docker://{image}");
    let tls = ["--src-tls-verify=false", "--preserve-digests"];
    let all = [&["copy", "-q", "--all"], &tls[..], &[&from, "oci:theirs:latest"]].concat();
    skopeo(&lab, all);
    let to = other.name("app:1");
    copy(&lab, &["oci:theirs:latest", &format!("docker://{to}")]);
    assert_eq!(crane_digest(&lab, &to), digest);
    validate(&lab, &to);
}

#[test]
fn a_second_copy_sends_nothing_and_blobs_are_mounted_within_a_registry() {
    let (lab, one, other) = (Lab::new(), Registry::start(), Registry::start());
    let (image, _) = multi(&lab, &one);
    let from = format!("docker://{image}");
    let to = format!("docker://{}", other.name("app:1"));
    let first = copy(&lab, &[&from, &to]);
    assert!(first["sent"].as_u64().unwrap() > 0, "{first}");
    let writes = other.writes();
    let second = copy(&lab, &[&from, &to]);
    assert_eq!((&second["sent"], other.writes()), (&0.into(), writes), "{second}");
    // Another computer copies within the registry: nothing is fetched or sent.
    let (stranger, fetched) = (Lab::new(), one.count("GET", "/blobs/"));
    let within = copy(&stranger, &[&from, &format!("docker://{}", one.name("other:1"))]);
    assert_eq!((&within["sent"], &within["digest"]), (&0.into(), &first["digest"]), "{within}");
    assert_eq!(within["mounted"], first["sent"]);
    assert_eq!(one.count("GET", "/blobs/"), fetched);
    // A layout that has the blobs already gets only another name.
    copy(&lab, &[&from, "oci:layout:a"]);
    let again = copy(&lab, &[&from, "oci:layout:b"]);
    assert_eq!(again["sent"], 0, "{again}");
    for tag in ["a", "b"] {
        let place = format!("oci:layout:{tag}");
        let raw = skopeo(&lab, ["inspect", "--raw", &place]);
        assert_eq!(json(&raw)["manifests"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn one_platform_is_copied_with_the_digest_of_its_manifest() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let (image, _) = multi(&lab, &registry);
    let from = format!("docker://{image}");
    let raw = json(&skopeo(&lab, ["inspect", "--tls-verify=false", "--raw", &from]));
    let expected = raw["manifests"][1]["digest"].as_str().unwrap();
    let to = registry.name("arm:1");
    let arguments = [&from, &format!("docker://{to}"), "--platform", "linux/arm64"];
    assert_eq!(copy(&lab, &arguments)["digest"], expected);
    assert_eq!(crane_digest(&lab, &to), expected);
    let wrong = seatrial(&lab, ["copy", &from, "oci:x", "--platform", "s390x"]);
    let message = wrong.rejected(&lab, "x");
    assert!(message.contains("linux/amd64, linux/arm64"), "{message}");
}

#[test]
fn a_docker_archive_has_one_platform_and_its_layers_are_compressed_for_a_registry() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let (image, _) = multi(&lab, &registry);
    let from = format!("docker://{image}");
    let target = "docker-archive:arm.tar:my/arm:2";
    let copied = copy(&lab, &[&from, target, "--platform", "linux/arm64"]);
    assert!(copied["digest"].is_null());
    assert!(copied["notes"][0].as_str().unwrap().contains("no manifest"), "{copied}");
    let theirs = json(&skopeo(&lab, ["inspect", "docker-archive:arm.tar"]));
    assert_eq!(theirs["Architecture"], "arm64");
    let inspected = json(&seatrial(&lab, ["inspect", "arm.tar", "--json"]).ok());
    assert_eq!((&inspected["id"], &inspected["reference"]), (&copied["id"], &"my/arm:2".into()));
    let to = registry.name("from-archive:1");
    let pushed = copy(&lab, &["docker-archive:arm.tar", &format!("docker://{to}")]);
    assert_eq!(pushed["id"], copied["id"]);
    validate(&lab, &to);
    // Without compression, an archive also becomes a layout.
    let layout = copy(&lab, &["arm.tar", "oci:layout:arm"]);
    let raw = json(&skopeo(&lab, ["inspect", "--raw", "oci:layout:arm"]));
    assert_eq!(raw["config"]["digest"], copied["id"]);
    assert!(layout["notes"][0].as_str().unwrap().contains("one was made"), "{layout}");
}

#[test]
fn a_layout_keeps_its_other_images_and_a_failed_copy_leaves_nothing() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("app:1");
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    seatrial(&lab, ["build", "app.toml", "-o", "app.tar"]).ok();
    skopeo(&lab, ["copy", "-q", "docker-archive:app.tar", "oci:layout:old"]);
    let before = skopeo(&lab, ["inspect", "oci:layout:old"]);
    copy(&lab, &[&format!("docker://{image}"), "oci:layout:new"]);
    assert_eq!(skopeo(&lab, ["inspect", "oci:layout:old"]), before);
    skopeo(&lab, ["copy", "-q", "oci:layout:new", "dir:new"]);
    let index = fs::read(lab.path("layout/index.json")).unwrap();
    let missing = format!("docker://{}", registry.name("no/such:1"));
    for target in ["oci:layout:x", "oci:absent", "oci-archive:absent", "docker-archive:absent"] {
        seatrial(&lab, ["copy", &missing, target]).rejected(&lab, "absent");
    }
    assert_eq!(fs::read(lab.path("layout/index.json")).unwrap(), index);
    lab.file("folder/file", "");
    let message = seatrial(&lab, ["copy", "app.tar", "oci:folder"]).rejected(&lab, "x");
    assert!(message.contains("not an OCI layout"), "{message}");
    let message = seatrial(&lab, ["copy", "app.tar", "new.tar"]).rejected(&lab, "new.tar");
    assert!(message.contains("write docker-archive:new.tar"), "{message}");
}

#[test]
fn a_damaged_layer_is_not_copied() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let arguments = ["build", "app.toml", "-o", "app.tar", "--format", "oci", "--compress", "gzip"];
    seatrial(&lab, arguments).ok();
    fs::create_dir(lab.path("layout")).unwrap();
    lab.tool("tar", ["-xf", "app.tar", "-C", "layout"]);
    let blobs = fs::read_dir(lab.path("layout/blobs/sha256")).unwrap();
    let sized = blobs.map(|blob| blob.unwrap().path());
    let layer = sized.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(&layer).unwrap();
    bytes[100] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let message = seatrial(&lab, ["copy", "oci:layout", "oci:copy"]).rejected(&lab, "copy");
    assert!(message.contains("corrupted"), "{message}");
    let to = registry.name("app:1");
    let run = seatrial(&lab, ["copy", "oci:layout", &format!("docker://{to}")]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    let run = seatrial(&lab, ["inspect", &format!("docker://{to}")]);
    assert_eq!(run.output.status.code(), Some(2), "nothing is tagged: {}", run.stdout());
}

#[test]
fn push_of_a_layout_sends_all_platforms() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let (_, digest) = multi(&lab, &registry);
    for (compress, file) in [("gzip", "gzip.tar"), ("none", "none.tar")] {
        let build = ["build", "multi.toml", "--format", "oci", "-o", file, "--compress", compress];
        seatrial(&lab, build).ok();
        let image = registry.name(&format!("{compress}:1"));
        let pushed = json(&seatrial(&lab, ["push", file, &image, "--json"]).ok());
        let raw =
            skopeo(&lab, ["inspect", "--tls-verify=false", "--raw", &format!("docker://{image}")]);
        assert_eq!(json(&raw)["manifests"].as_array().unwrap().len(), 2, "{compress}");
        // A push of the recipe, and of its layout in either compression, gives the same image.
        assert_eq!(pushed["digest"], digest.as_str(), "{compress}");
        validate(&lab, &image);
    }
    let one = ["push", "gzip.tar", &registry.name("one:1"), "--platform", "arm64", "--json"];
    let one = json(&seatrial(&lab, one).ok());
    assert_ne!(one["digest"], digest.as_str());
}

#[test]
fn a_dry_run_says_what_a_registry_would_be_sent() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let (image, digest) = multi(&lab, &registry);
    let (from, to) = (format!("docker://{image}"), Registry::start());
    let remote = format!("docker://{}", to.name("copied:1"));
    let dry = copy(&lab, &[&from, &remote, "--dry-run"]);
    assert_eq!(to.writes(), 0);
    assert_eq!((&dry["dry_run"], &dry["digest"]), (&true.into(), &digest.into()));
    let sent = copy(&lab, &[&from, &remote]);
    assert_eq!((&dry["sent"], &dry["sent_bytes"]), (&sent["sent"], &sent["sent_bytes"]));
    let run = seatrial(&lab, ["copy", &from, "oci:out", "--dry-run"]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(!lab.exists("out"));
}
