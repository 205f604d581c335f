//! Which image of several is read: by name, platform and kind.

use serde_json::{Value, json};

use crate::forge::{
    OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, OciFolder, TarBuilder, archive_with, config,
    valid_layer, with,
};
use crate::lab::Lab;
use crate::reading::{assert_rejected, inspect};

#[test]
fn the_nearest_lower_variant_of_a_platform_is_selected() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let image = |architecture: &str, variant: Option<&str>| {
        let platform = match variant {
            Some(variant) => {
                json!({ "os": "linux", "architecture": architecture, "variant": variant })
            }
            None => json!({ "os": "linux", "architecture": architecture }),
        };
        let image = oci.image(&with(config(&[&valid_layer()]), platform.clone()));
        with(image, json!({ "platform": platform }))
    };
    let images = [("arm", Some("v5")), ("arm", Some("v7")), ("arm64", Some("v8")), ("amd64", None)]
        .map(|(architecture, variant)| image(architecture, variant));
    let index = json!({ "schemaVersion": 2, "manifests": images });
    oci.index(&[oci.document(OCI_INDEX, &index)]);
    for (platform, expected) in [
        ("linux/arm/v7", "v7"),
        ("arm/v6", "v5"),
        ("armv7l", "v7"),
        ("arm", "v7"),
        ("arm64", "v8"),
        ("linux/arm64/v8", "v8"),
    ] {
        for flag in ["--platform", "--architecture"] {
            assert_eq!(inspect(&lab, &["oci", flag, platform])["variant"], expected, "{platform}");
        }
    }
    for (architecture, variant, expected) in
        [("arm", "v7", "v7"), ("arm", "v6", "v5"), ("arm64", "v8", "v8")]
    {
        let select = ["--override-arch", architecture, "--override-variant", variant];
        let seen = lab.tool("skopeo", select.into_iter().chain(["inspect", "--config", "oci:oci"]));
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen["variant"], expected);
    }
    #[cfg(feature = "vm")]
    {
        lab.file("expect.toml", "[image]\narchitecture = 'arm'\nvariant = 'v5'\n");
        let platform = ["--platform", "linux/arm/v6"];
        let check = ["check", "oci", "--expect", "expect.toml", "--no-vm"];
        lab.seatrial(check.iter().chain(&platform)).ok();
    }
    let recipe = "name='x'\ntag='1'\nfrom_image='oci'\narchitecture='arm'\nvariant='v6'\n";
    let built = lab.build(recipe);
    assert_eq!(built.config()["variant"], "v6");
    let missing = lab.seatrial(["inspect", "oci", "--platform", "s390x"]).rejected(&lab, "x");
    let expected = "no image is for linux/s390x; the layout has unnamed (linux/arm/v5), unnamed \
                    (linux/arm/v7), unnamed (linux/arm64/v8), unnamed (linux/amd64)";
    assert!(missing.contains(expected), "{missing}");
}

#[test]
fn images_without_a_platform_in_the_index_are_selected_by_their_configs() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let image = |architecture: &str| {
        let more = json!({ "architecture": architecture });
        oci.image(&with(config(&[&valid_layer()]), more))
    };
    oci.index(&[image("arm64"), image("amd64")]);
    for architecture in ["amd64", "arm64"] {
        let summary = inspect(&lab, &["oci", "--platform", architecture]);
        assert_eq!(summary["architecture"], architecture);
    }
    // Likewise in a docker-archive with several images.
    let layer = valid_layer();
    let images: Vec<Value> = ["arm64", "amd64"]
        .map(|name| json!({ "Config": name, "RepoTags": [format!("{name}:1")], "Layers": ["l"] }))
        .into();
    let mut archive = TarBuilder::new().file("l", &layer);
    for name in ["arm64", "amd64"] {
        let config = with(config(&[&layer]), json!({ "architecture": name })).to_string();
        archive = archive.file(name, config.as_bytes());
    }
    let archive = archive.file("manifest.json", Value::from(images).to_string().as_bytes());
    lab.file("two.tar", archive.finish());
    let summary = inspect(&lab, &["two.tar", "--platform", "arm64"]);
    assert_eq!(summary["reference"], "arm64:1");
}

#[test]
fn signatures_and_other_artifacts_are_not_images() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let image = oci.image(&config(&[&valid_layer()]));
    let hex = image["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
    let named = |descriptor: Value, name: &str| {
        with(descriptor, json!({ "annotations": { "org.opencontainers.image.ref.name": name } }))
    };
    let signature = || {
        let payload = oci.blob(b"{}", "application/vnd.dev.cosign.simplesigning.v1+json");
        oci.manifest(oci.document(OCI_CONFIG, &config(&[])), &[payload])
    };
    let unknown = json!({ "platform": { "os": "unknown", "architecture": "unknown" } });
    let reference =
        json!({ "annotations": { "vnd.docker.reference.type": "attestation-manifest" }});
    let empty = || oci.blob(b"{}", "application/vnd.oci.empty.v1+json");
    let layer = || oci.blob(b"sbom", "application/spdx+json");
    let about = json!({
        "schemaVersion": 2, "config": oci.document(OCI_CONFIG, &config(&[&valid_layer()])),
        "layers": [oci.blob(&valid_layer(), OCI_LAYER)],
        "subject": image,
    });
    let artifact = json!({
        "schemaVersion": 2, "artifactType": "application/x", "config": empty(), "layers": [],
    });
    let artifacts = [
        named(signature(), &format!("sha256-{hex}.sig")),
        named(signature(), "v1"),
        with(oci.image(&config(&[&valid_layer()])), unknown),
        with(signature(), reference),
        oci.manifest(empty(), &[layer()]),
        oci.document(OCI_MANIFEST, &about),
        oci.document(OCI_MANIFEST, &artifact),
        with(oci.manifest(empty(), &[]), json!({ "artifactType": "application/spdx+json" })),
        oci.blob(b"x", "application/vnd.oci.artifact.manifest.v1+json"),
    ];
    for artifact in &artifacts {
        oci.index(&[artifact.clone(), image.clone(), artifact.clone()]);
        inspect(&lab, &["oci"]);
        let nested = json!({ "schemaVersion": 2, "manifests": [image, artifact] });
        oci.index(&[named(oci.document(OCI_INDEX, &nested), "v1")]);
        assert_eq!(inspect(&lab, &["oci", "--tag", "v1"])["reference"], "v1");
    }
    oci.index(&artifacts[..5]);
    assert_rejected(&lab, "oci", "lists no image, only signatures or other artifacts");
}

#[test]
fn an_image_with_several_names_is_one_image() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let image = oci.image(&config(&[&valid_layer()]));
    let names = ["a:1", "b:2"].map(|name| {
        with(image.clone(), json!({ "annotations": { "io.containerd.image.name": name } }))
    });
    oci.index(&names);
    assert_eq!(inspect(&lab, &["oci"])["reference"], "a:1");
    assert_eq!(inspect(&lab, &["oci", "--name", "b"])["reference"], "b:2");
    // Some tools write one entry for each name of an image into manifest.json.
    let item = |name: &str| json!({ "Config": "c.json", "RepoTags": [name], "Layers": ["l.tar"] });
    let text = json!([item("a:1"), item("b:2")]).to_string();
    lab.file("base.tar", archive_with("manifest.json", &text));
    assert_eq!(inspect(&lab, &["base.tar", "--name", "b"])["reference"], "a:1");
}

#[test]
fn an_image_of_a_compatible_platform_is_selected_as_containerd_does() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let image = |architecture: &str, variant: &str| {
        let platform = json!({ "os": "linux", "architecture": architecture, "variant": variant });
        let image = oci.image(&with(config(&[&valid_layer()]), platform.clone()));
        with(image, json!({ "platform": platform }))
    };
    oci.index(&[image("386", ""), image("arm", "v6"), image("arm", "v7"), image("s390x", "")]);
    for (platform, architecture, variant) in [
        ("amd64", "386", ""),
        ("amd64/v3", "386", ""),
        ("arm64", "arm", "v7"),
        ("arm/v6", "arm", "v6"),
    ] {
        let summary = inspect(&lab, &["oci", "--platform", platform]);
        assert_eq!(summary["architecture"], architecture, "{platform}");
        assert_eq!(summary["variant"].as_str().unwrap_or_default(), variant, "{platform}");
    }
    // The exact platform is preferred, wherever it is in the index.
    oci.index(&[image("386", ""), image("amd64", ""), image("arm", "v7"), image("arm64", "v8")]);
    for architecture in ["amd64", "arm64", "386"] {
        let summary = inspect(&lab, &["oci", "--platform", architecture]);
        assert_eq!(summary["architecture"], architecture);
    }
}

// OCI image-spec, descriptor.md, "Registered algorithms": sha512.
#[test]
fn an_image_with_a_digest_of_another_algorithm_matters_only_if_it_is_selected() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let image = oci.image(&config(&[&valid_layer()]));
    let sha512 = format!("sha512:{}", "ab".repeat(64));
    let other = with(image.clone(), json!({ "digest": sha512 }));
    let named = |descriptor: &Value, name: &str| {
        let name = json!({ "io.containerd.image.name": name });
        with(descriptor.clone(), json!({ "annotations": name }))
    };
    let of_platform = |descriptor: &Value, architecture: &str| {
        let platform = json!({ "os": "linux", "architecture": architecture });
        with(descriptor.clone(), json!({ "platform": platform }))
    };
    oci.index(&[of_platform(&other, "arm64"), of_platform(&image, "amd64")]);
    inspect(&lab, &["oci", "--platform", "amd64"]);
    let refused = |arguments: &[&str]| {
        let all = ["inspect", "oci"].iter().chain(arguments);
        let message = lab.seatrial(all).rejected(&lab, "x");
        assert!(message.contains("the image by the digest \"sha512:abab"), "{message}");
        assert!(message.contains("only digests of SHA-256 are supported"), "{message}");
    };
    refused(&["--platform", "arm64"]);
    // The same for the layers and the config of an image.
    for part in ["config", "layers"] {
        let layer = oci.blob(&valid_layer(), OCI_LAYER);
        let mut manifest = json!({
            "schemaVersion": 2,
            "config": oci.document(OCI_CONFIG, &config(&[&valid_layer()])),
            "layers": [layer],
        });
        match part {
            "config" => manifest["config"]["digest"] = json!(sha512),
            _ => manifest["layers"][0]["digest"] = json!(sha512),
        }
        let other = oci.document(OCI_MANIFEST, &manifest);
        oci.index(&[of_platform(&other, "arm64"), of_platform(&image, "amd64")]);
        inspect(&lab, &["oci", "--platform", "amd64"]);
        let message = lab.seatrial(["inspect", "oci", "--platform", "arm64"]).rejected(&lab, "x");
        assert!(message.contains("sha512:abab"), "{part}: {message}");
    }
    oci.index(&[named(&other, "a:1"), named(&image, "b:1")]);
    inspect(&lab, &["oci", "--name", "b"]);
    refused(&["--name", "a"]);
    oci.index(&[other]);
    refused(&[]);
    for broken in ["sha256:00", "sha512", "sha512:", "SHA512:00", ""] {
        oci.index(&[image.clone(), with(image.clone(), json!({ "digest": broken }))]);
        assert_rejected(&lab, "oci", "invalid digest");
    }
}

#[test]
fn an_error_about_several_images_says_how_every_command_selects_one() {
    let lab = Lab::new();
    for name in ["one", "two"] {
        let recipe = format!("name='{name}'\ntag='1'\n[config]\nUser='{name}'\n");
        lab.build_with(&recipe, &format!("{name}.tar"), &[]);
    }
    for (format, location, name) in [
        ("docker", "docker-archive:all.tar:NAME:TAG", "docker-archive:all.tar:two:1"),
        ("oci", "oci-archive:all.tar:NAME", "oci-archive:all.tar:two:1"),
    ] {
        lab.seatrial(["merge", "one.tar", "two.tar", "-o", "all.tar", "--format", format]).ok();
        let expected = format!("there are 2 images; write {location} with one of: ");
        for command in [&["inspect", "all.tar"][..], &["diff", "all.tar", "two.tar"]] {
            let message = lab.seatrial(command).rejected(&lab, "x");
            assert!(message.contains(&expected), "{message}");
            assert!(message.contains("two:1"), "{message}");
        }
        assert_eq!(inspect(&lab, &[name])["name"], "two");
        lab.seatrial(["diff", name, "two.tar"]).ok();
    }
}
