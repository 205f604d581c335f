//! `seatrial pull`.

use std::fs;

use crate::lab::Lab;
use crate::server::{Reply, Server, forward};
use crate::service::{Registry, crane, json, recipe, seatrial, skopeo};

/// The digests of the files in a folder, without the file `version` that skopeo adds.
fn digests(lab: &Lab, folder: &str) -> String {
    let files = format!("find {folder} -type f ! -name version");
    lab.tool("bash", ["-c", &format!("{files} | xargs sha256sum | cut -c1-64 | sort")])
}

/// Puts an image that GNU tar and crane made into the registry.
fn foreign_image(lab: &Lab, registry: &Registry) -> String {
    lab.file("tree/etc/motd", "made by others\n");
    lab.tool("tar", ["-C", "tree", "-cf", "tree.tar", "."]);
    let image = registry.name("foreign:1");
    let crane = crane();
    let append = ["append", "--insecure", "-f", "tree.tar", "-t", &image];
    lab.tool(crane.to_str().unwrap(), append);
    image
}

#[test]
fn the_image_is_the_one_that_skopeo_pulls() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let image = foreign_image(&lab, &registry);
    let from = format!("docker://{image}");
    skopeo(&lab, ["copy", "-q", "--src-tls-verify=false", &from, "dir:theirs"]);
    seatrial(&lab, ["pull", &image, "-o", "ours.tar", "--format", "oci"]).ok();
    fs::create_dir(lab.path("ours")).unwrap();
    lab.tool("tar", ["-xf", "ours.tar", "-C", "ours"]);
    assert_eq!(digests(&lab, "ours/blobs"), digests(&lab, "theirs"));
    let id = json(&seatrial(&lab, ["pull", &image, "-o", "a.tar", "--json"]).ok())["id"].clone();
    for format in ["docker", "dual"] {
        seatrial(&lab, ["pull", &image, "-o", "b.tar", "--format", format]).ok();
        skopeo(&lab, ["copy", "-q", "docker-archive:b.tar", &format!("oci:{format}:1")]);
        let inspected = json(&seatrial(&lab, ["inspect", "b.tar", "--json"]).ok());
        assert_eq!(inspected["id"], id);
        assert_eq!(inspected["reference"], image.as_str());
    }
}

#[test]
fn blobs_are_fetched_once() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let image = foreign_image(&lab, &registry);
    seatrial(&lab, ["pull", &image, "-o", "a.tar"]).ok();
    let fetched = registry.count("GET", "/blobs/");
    seatrial(&lab, ["pull", &image, "-o", "b.tar"]).ok();
    assert_eq!(registry.count("GET", "/blobs/"), fetched);
    seatrial(&lab, ["pull", &image, "-o", "c.tar", "--no-cache"]).ok();
    assert!(registry.count("GET", "/blobs/") > fetched);
    let read = |name: &str| fs::read(lab.path(name)).unwrap();
    assert_eq!(read("a.tar"), read("b.tar"));
    assert_eq!(read("a.tar"), read("c.tar"));
}

#[test]
fn a_platform_or_a_digest_selects_the_image() {
    let (lab, registry) = (Lab::new(), Registry::start());
    lab.file("root/a", "1");
    lab.file(
        "app.toml",
        "name='x'\ntag='1'\ncontents=['root']\nplatforms=['linux/amd64', 'linux/arm/v7']\n",
    );
    let image = registry.name("multi:1");
    let pushed = json(&seatrial(&lab, ["push", "app.toml", &image, "--json"]).ok());
    let pull = |arguments: &[&str]| {
        let all = [&["pull", "-o", "x.tar", "--json"], arguments].concat();
        json(&seatrial(&lab, all).ok())
    };
    let arm = pull(&[&image, "--platform", "linux/arm/v7"]);
    assert_eq!((arm["architecture"].as_str(), arm["variant"].as_str()), (Some("arm"), Some("v7")));
    let digest = pushed["digest"].as_str().unwrap();
    let by_digest = registry.name(&format!("multi@{digest}"));
    assert_eq!(pull(&[&by_digest, "--platform", "amd64"])["architecture"], "amd64");
    let run = seatrial(&lab, ["pull", &image, "-o", "y.tar", "--platform", "s390x"]);
    let message = run.rejected(&lab, "y.tar");
    assert!(message.contains("linux/amd64, linux/arm/v7"), "{message}");
}

#[test]
fn an_image_for_one_platform_is_refused_if_another_is_selected() {
    let (lab, registry) = (Lab::new(), Registry::start());
    lab.file("root/a", "1");
    lab.file("app.toml", "name='x'\ntag='1'\ncontents=['root']\narchitecture='arm64'\n");
    let image = registry.name("arm:1");
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    let remote = format!("docker://{image}");
    // Without --platform, the only one is meant.
    seatrial(&lab, ["pull", &image, "-o", "arm.tar", "--platform", "linux/arm64/v8"]).ok();
    seatrial(&lab, ["pull", &image, "-o", "arm.tar"]).ok();
    let commands: [&[&str]; 7] = [
        &["pull", &image, "-o", "x.tar"],
        &["inspect", &remote],
        &["inspect", "arm.tar"],
        &["export", "arm.tar", "-o", "x.tar"],
        &["copy", &remote, "oci-archive:x.tar"],
        &["copy", "arm.tar", "docker-archive:x.tar"],
        &["push", "arm.tar", &registry.name("other:1")],
    ];
    for command in commands {
        let run = seatrial(&lab, [command, &["--platform", "linux/amd64"]].concat());
        let message = run.rejected(&lab, "x.tar");
        let expected = "the image is for linux/arm64, not for linux/amd64";
        assert!(message.contains(expected), "{command:?}: {message}");
    }
    let run = seatrial(&lab, ["pull", &image, "-o", "x.tar", "--platform", "windows/amd64"]);
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.stderr().contains("only images for linux are supported"), "{}", run.stderr());
}

#[test]
fn a_missing_image_is_bad_input_and_a_missing_registry_is_not() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let message = seatrial(&lab, ["pull", &registry.name("no/such:1"), "-o", "x.tar"]);
    let message = message.rejected(&lab, "x.tar");
    assert!(message.contains("no/such:1"), "{message}");
    let address = registry.name("app:1");
    drop(registry);
    let run = seatrial(&lab, ["pull", &address, "-o", "x.tar"]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let host = address.split('/').next().unwrap();
    let expected = format!("failed to reach the registry {host}: Connection refused\n");
    assert!(run.stderr().ends_with(&expected), "{}", run.stderr());
    assert!(!lab.exists("x.tar"));
}

// OCI image-spec, "Non-Distributable Layers"; Docker image manifest v2.2.
#[test]
fn an_image_with_a_layer_that_is_only_to_be_fetched_from_elsewhere_says_so() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1"), "--no-cache"]).ok();
    for kind in [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ] {
        let proxy = Server::before(registry.address, {
            let upstream = registry.address;
            move |request| {
                if request.method == "GET" && request.target.contains("/manifests/") {
                    let Reply::Answer { body, .. } = forward(upstream, request) else { panic!() };
                    let mut manifest = json(std::str::from_utf8(&body).unwrap());
                    manifest["layers"][0]["mediaType"] = kind.into();
                    manifest["layers"][0]["digest"] = format!("sha256:{:064}", 1).into();
                    let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
                    let headers = [("Content-Type", media_type.as_str())];
                    return Some(Reply::new(200, &headers, manifest.to_string()));
                }
                None
            }
        });
        let image = format!("{}/my/app:1", proxy.address);
        let message = seatrial(&lab, ["pull", &image, "-o", "x.tar"]).rejected(&lab, "x.tar");
        assert!(message.contains(kind) && message.contains("images for Windows"), "{message}");
        seatrial(&lab, ["inspect", &format!("docker://{image}")]).ok();
    }
}
