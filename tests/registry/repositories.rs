//! Pushes to several repositories and tags at once.

use std::fs;

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
