//! Bills of materials that are attached to images which exist already, and what oras makes of them.

use std::fs;

use serde_json::Value;

use crate::attach::{attached, push, read};
use crate::lab::Lab;
use crate::server::Server;
use crate::service::{Registry, json, oras, recipe, seatrial};

/// The document that is attached to the image with `digest`, the only one.
fn attached_document(lab: &Lab, repository: &str, digest: &Value) -> String {
    let index = attached(lab, repository, digest);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
    let name = |value: &Value| format!("{repository}@{}", value["digest"].as_str().unwrap());
    let manifest = json(&read(lab, "manifest", &name(&index["manifests"][0])));
    assert_eq!(manifest["subject"]["digest"], *digest);
    read(lab, "blob", &name(&manifest["layers"][0]))
}

#[test]
fn an_image_gets_the_bill_that_was_written_when_it_was_built() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let status = "Package: curl\nStatus: install ok installed\nVersion: 7.88.1-10\n\
                  Architecture: amd64\nMaintainer: x\nDescription: x\n";
    lab.file("root/var/lib/dpkg/status", status);
    recipe(&lab, "");
    let build = ["build", "app.toml", "--format", "oci", "--compress", "gzip", "-o", "x.tar"];
    let repository = registry.name("image");
    let named = ["--name", &repository, "--tag", "1", "--sbom", "spdx", "--sbom-file", "x.json"];
    seatrial(&lab, build.iter().chain(&named)).ok();
    let written = fs::read_to_string(lab.path("x.json")).unwrap();
    assert!(written.contains("pkg:deb/debian/curl@7.88.1-10"), "{written}");
    let push = |from: &str, to: &str| {
        json(&seatrial(&lab, ["push", from, to, "--sbom", "spdx", "--json"]).ok())
    };
    let pushed = push("x.tar", &format!("{repository}:1"));
    assert_eq!(pushed["digest"], push("app.toml", &registry.name("recipe:1"))["digest"]);
    assert_eq!(attached_document(&lab, &repository, &pushed["digest"]), written);

    // From a registry to a registry, and again: the same artifact.
    let other = registry.name("other");
    let from = format!("docker://{repository}:1");
    for _ in 0..2 {
        assert_eq!(push(&from, &format!("{other}:1"))["digest"], pushed["digest"]);
        let bill = attached_document(&lab, &other, &pushed["digest"]);
        assert!(bill.contains("pkg:deb/debian/curl@7.88.1-10"), "{bill}");
    }

    // The image of a docker-archive has no manifest before.
    seatrial(&lab, ["build", "app.toml", "-o", "y.tar"]).ok();
    let repository = registry.name("archive");
    let pushed = push("y.tar", &format!("{repository}:1"));
    let bill = attached_document(&lab, &repository, &pushed["digest"]);
    assert!(bill.contains("pkg:deb/debian/curl@7.88.1-10"), "{bill}");
}

#[test]
fn the_bill_of_an_image_names_its_base() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let base = registry.name("base:1");
    let digest =
        json(&seatrial(&lab, ["push", "app.toml", &base, "--json"]).ok())["digest"].clone();
    lab.file(
        "derived.toml",
        format!("name='derived'\ntag='1'\nfrom_image='docker://{base}'\n[annotations]\n"),
    );
    seatrial(&lab, ["build", "derived.toml", "--format", "oci", "-o", "x.tar"]).ok();
    let repository = registry.name("derived");
    let image = format!("{repository}:1");
    let push = ["push", "x.tar", &image, "--sbom", "cyclonedx", "--json", "--compress", "none"];
    let pushed = json(&seatrial(&lab, push).ok());
    let bill = json(&attached_document(&lab, &repository, &pushed["digest"]));
    let ancestors = &bill["metadata"]["component"]["pedigree"]["ancestors"];
    assert_eq!(ancestors[0]["version"], digest, "{bill}");
}

#[test]
fn oras_finds_and_pulls_the_bill() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let repository = registry.name("my/app");
    let image = format!("{repository}:1");
    let pushed = push(&lab, &image, &["--sbom", "spdx"]);
    let found = json(&oras(&lab, ["discover", "--plain-http", "--format", "json", &image]));
    let text = found.to_string();
    let digest = pushed["attached"][0]["digest"].as_str().unwrap();
    assert!(text.contains(digest) && text.contains("application/spdx+json"), "{found}");
    let bill = format!("{repository}@{digest}");
    oras(&lab, ["pull", "--plain-http", "-o", "pulled", &bill]);
    let bill = fs::read_to_string(lab.path("pulled/sbom.spdx.json")).unwrap();
    assert_eq!(bill, attached_document(&lab, &repository, &pushed["digest"]));
}

#[test]
fn each_platform_of_a_layout_gets_its_bill_before_the_tag() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let recipe = fs::read_to_string(lab.path("app.toml")).unwrap();
    let several = "platforms = ['linux/amd64', 'linux/arm64']";
    lab.file("app.toml", recipe.replace("architecture = 'amd64'", several));
    let build = ["build", "app.toml", "--format", "oci", "--compress", "gzip", "-o", "x.tar"];
    seatrial(&lab, build).ok();
    let watched = Server::before(registry.address, |_| None);
    let repository = format!("{}/multi", watched.address);
    let image = format!("{repository}:1");
    let pushed = json(&seatrial(&lab, ["push", "x.tar", &image, "--sbom", "spdx", "--json"]).ok());
    assert_eq!(pushed["attached"].as_array().unwrap().len(), 2);
    let puts = watched.requests();
    let mut puts = puts.iter().filter(|one| one.method == "PUT");
    assert!(puts.next_back().unwrap().target.ends_with("/manifests/1"));
    let index = json(&read(&lab, "manifest", &image));
    for entry in index["manifests"].as_array().unwrap() {
        let architecture = entry["platform"]["architecture"].as_str().unwrap();
        let bill = attached_document(&lab, &repository, &entry["digest"]);
        assert!(bill.contains(&format!("linux/{architecture}")), "{bill}");
    }
}
