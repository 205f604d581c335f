//! The JSON documents of images, and the files around them: what engines read, `inspect` reads the
//! same way, and what they would read differently is rejected.

use std::fs;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::forge::{
    OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, OciFolder, TarBuilder, config, docker_archive,
    hex256, manifest, valid_layer, with,
};
use crate::lab::Lab;

/// The output of `inspect --json`.
fn inspect(lab: &Lab, arguments: &[&str]) -> Value {
    let summary = lab.seatrial(["inspect", "--json"].iter().chain(arguments)).ok();
    serde_json::from_str(&summary).unwrap()
}

/// Asserts that `inspect` and `build` reject the image `name`.
fn assert_rejected(lab: &Lab, name: &str, expected: &str) {
    let message = lab.seatrial(["inspect", name]).rejected(lab, "x");
    assert!(message.contains(expected), "{expected}: {message}");
    let recipe = format!("name='x'\nfrom_image='{name}'\narchitecture='amd64'\ninherit='all'\n");
    let message = lab.rejected(&recipe);
    assert!(message.contains(expected), "{expected}: {message}");
}

/// A valid docker-archive of which one document is replaced.
fn archive_with(document: &str, text: &str) -> Vec<u8> {
    let layer = valid_layer();
    let valid = [
        ("c.json", config(&[&layer]).to_string()),
        ("manifest.json", manifest("c.json", &["l.tar"]).to_string()),
    ];
    let mut archive = TarBuilder::new().file("l.tar", &layer);
    for (name, content) in valid {
        let content = if name == document { text } else { &content };
        archive = archive.file(name, content.as_bytes());
    }
    archive.finish()
}

/// A config with one valid layer, and `text` before its closing brace.
fn config_and(text: &str) -> String {
    let config = config(&[&valid_layer()]).to_string();
    format!("{},{text}}}", config.strip_suffix('}').unwrap())
}

// Go 1.22, encoding/json, "Unmarshal": "preferring exact matches but also accepting
// case-insensitive matches".
#[test]
fn keys_that_engines_take_for_others_are_rejected() {
    let lab = Lab::new();
    let item = r#""Config":"c.json","RepoTags":["base:1"],"Layers":["l.tar"]"#;
    for (document, text, key) in [
        ("manifest.json", format!(r#"[{{{item},"config":"x"}}]"#), r#""config""#),
        ("manifest.json", format!(r#"[{{{item},"LAYERS":[]}}]"#), r#""LAYERS""#),
        ("manifest.json", format!(r#"[{{{item},"Layer\u017f":[]}}]"#), r#""Layer\u{17f}""#),
        ("c.json", config_and(r#""Config":{"User":"root"}"#), r#""Config""#),
        ("c.json", config_and(r#""ROOTFS":{"type":"layers","diff_ids":[]}"#), r#""ROOTFS""#),
        ("c.json", config_and(r#""hi\u017ftory":[]"#), r#""hi\u{17f}tory""#),
        ("c.json", config_and(r#""config":{"env":["A=1"]}"#), r#""env""#),
        ("c.json", config_and(r#""config":{"\u0065nv":["A=1"]}"#), r#""env""#),
        ("c.json", config_and(r#""config":{"entrypoint":["/evil"]}"#), r#""entrypoint""#),
        ("c.json", config_and(r#""config":{"U\u017fer":"root"}"#), r#""U\u{17f}er""#),
        ("c.json", config_and(r#""config":{"Healthchec\u212a":{}}"#), r#""Healthchec\u{212a}""#),
        ("c.json", config_and(r#""config":{"Healthcheck":{"test":[]}}"#), r#""test""#),
        ("c.json", config_and(r#""history":[{"Empty_Layer":true}]"#), r#""Empty_Layer""#),
        ("c.json", config_and(r#""architecture":"arm64""#), r#""architecture" occurs twice"#),
        ("c.json", config_and(r#""config":{"User":"a","User":"b"}"#), r#""User" occurs twice"#),
        ("manifest.json", format!(r#"[{{{item},{item}}}]"#), r#""Config" occurs twice"#),
    ] {
        lab.file("base.tar", archive_with(document, &text));
        assert_rejected(&lab, "base.tar", key);
    }
}

#[test]
fn keys_in_the_documents_of_an_oci_layout_are_checked() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let image = oci.image(&config(&[&valid_layer()]));
    let index = |text: &str| lab.file("oci/index.json", format!(r#"{{"schemaVersion":2,{text}}}"#));
    for (more, key) in [
        (r#""manifests":[IMAGE],"Manifests":[]"#, r#""Manifests""#),
        (r#""manifests":[IMAGE],"manifest\u017f":[]"#, r#""manifest\u{17f}""#),
        (r#""manifests":[{"Digest":"sha256:0"}]"#, r#""Digest""#),
        (r#""manifests":[{"platform":{"OS":"linux"}}]"#, r#""OS""#),
        (r#""manifests":[IMAGE],"manifests":[]"#, r#""manifests" occurs twice"#),
        (r#""manifests":[IMAGE],"layers":[]"#, "an index with the keys"),
        (r#""manifests":[IMAGE],"config":{}"#, "an index with the keys"),
    ] {
        index(&more.replace("IMAGE", &image.to_string()));
        assert_rejected(&lab, "oci", key);
    }
    oci.index(&[image]);
    lab.seatrial(["inspect", "oci"]).ok();
    lab.file("oci/oci-layout", r#"{"imagelayoutversion":"1.0.0"}"#);
    assert_rejected(&lab, "oci", r#""imagelayoutversion""#);
    lab.file("oci/oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#);
    assert_rejected(&lab, "oci", "unknown version");
}

// The reason for both tests above: skopeo, like Docker, is a Go program.
#[test]
fn skopeo_reads_the_image_that_is_rejected_with_the_other_keys() {
    let lab = Lab::new();
    let layer = valid_layer();
    let config = with(config(&[&layer]), json!({ "config": { "Env": ["A=1"] } })).to_string();
    let config = config.replace(r#"{"Env":["A=1"]}"#, r#"{"Env":["A=1"],"\u0065nv":["EVIL=1"]}"#);
    lab.file("base.tar", docker_archive(config.as_bytes(), &layer));
    let seen = lab.tool("skopeo", ["inspect", "docker-archive:base.tar"]);
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["Env"], json!(["EVIL=1"]));
    assert_rejected(&lab, "base.tar", r#""env" in config is "Env" to Docker"#);
}

#[test]
fn unknown_and_free_keys_may_be_spelled_in_any_way() {
    let lab = Lab::new();
    let labels = json!({ "a": "1", "A": "2", "env": "3" });
    let more = json!({ "config": { "Labels": labels, "X-Vendor": 1 }, "Vendor": { "config": {} } });
    let config = with(config(&[&valid_layer()]), more).to_string();
    lab.file("base.tar", docker_archive(config.as_bytes(), &valid_layer()));
    assert_eq!(inspect(&lab, &["base.tar"])["config"]["Labels"], labels);
}

#[test]
fn a_byte_order_mark_is_an_error_as_in_engines() {
    let lab = Lab::new();
    let text = "\u{feff}".to_owned() + &manifest("c.json", &["l.tar"]).to_string();
    lab.file("base.tar", archive_with("manifest.json", &text));
    assert_rejected(&lab, "base.tar", "byte order mark");
    let skopeo = lab.command("skopeo").args(["inspect", "docker-archive:base.tar"]).output();
    assert!(!skopeo.unwrap().status.success());
}

#[test]
fn nulls_are_read_as_empty_values() {
    let lab = Lab::new();
    let layer = valid_layer();
    let nulls = json!({
        "created": null, "author": null, "variant": null, "history": [{ "empty_layer": null }],
        "config": {
            "Env": null, "Cmd": ["a", null], "Labels": { "a": null }, "User": null,
            "ExposedPorts": { "80/tcp": null }, "Healthcheck": null, "OnBuild": null,
        },
    });
    let nulls = with(config(&[&layer]), nulls);
    lab.file("base.tar", docker_archive(nulls.to_string().as_bytes(), &layer));
    let seen = lab.tool("skopeo", ["inspect", "--config", "docker-archive:base.tar"]);
    let seen: Value = serde_json::from_str(&seen).unwrap();
    let summary = inspect(&lab, &["base.tar"]);
    assert_eq!(seen["config"]["Cmd"], json!(["a", ""]));
    assert_eq!(seen["config"]["Labels"], json!({ "a": "" }));
    assert_eq!(summary["config"]["Cmd"], seen["config"]["Cmd"]);
    assert_eq!(summary["config"]["Labels"], seen["config"]["Labels"]);
    for (key, value) in [("config", json!(null)), ("history", json!(null)), ("os", json!(null))] {
        let config = with(config(&[&layer]), json!({ key: value }));
        lab.file("base.tar", docker_archive(config.to_string().as_bytes(), &layer));
        inspect(&lab, &["base.tar"]);
    }
    let text = json!([{ "Config": "c.json", "RepoTags": null, "Layers": ["l.tar"] }]).to_string();
    lab.file("base.tar", archive_with("manifest.json", &text));
    assert_eq!(inspect(&lab, &["base.tar"])["reference"], Value::Null);
}

#[test]
fn nulls_and_gaps_in_an_oci_layout_are_read_as_empty_values() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let empty = oci.document(
        OCI_MANIFEST,
        &json!({
            "schemaVersion": 2, "layers": null, "annotations": null,
            "config": oci.document(OCI_CONFIG, &config(&[])),
        }),
    );
    let image = oci.image(&config(&[&valid_layer()]));
    for descriptor in [
        empty,
        with(image.clone(), json!({ "annotations": { "a": null } })),
        with(image.clone(), json!({ "annotations": null, "platform": null })),
        with(image, json!({ "platform": { "architecture": "amd64" } })),
    ] {
        oci.index(&[descriptor]);
        lab.tool("skopeo", ["inspect", "--config", "oci:oci"]);
        inspect(&lab, &["oci"]);
    }
}

#[test]
fn digests_and_sizes_of_documents_and_layers_are_checked() {
    let lab = Lab::new();
    let layer = valid_layer();
    let config = config(&[&layer]);
    let oci = OciFolder::new(&lab, "oci");
    let stored = oci.blob(&layer, OCI_LAYER);
    let stored_config = oci.document(OCI_CONFIG, &config);
    let longer = |descriptor: &Value| {
        with(descriptor.clone(), json!({ "size": descriptor["size"].as_u64().unwrap() + 1 }))
    };
    let valid = oci.manifest(stored_config.clone(), std::slice::from_ref(&stored));
    for manifest in [
        longer(&valid),
        oci.manifest(longer(&stored_config), std::slice::from_ref(&stored)),
        oci.manifest(stored_config.clone(), &[longer(&stored)]),
    ] {
        oci.index(&[manifest]);
        assert_rejected(&lab, "oci", "according to its descriptor");
    }
    // A plain layer whose blob is intact, but not the layer of the config.
    let other = oci.blob(&TarBuilder::new().file("evil", b"x").finish(), OCI_LAYER);
    oci.index(&[oci.manifest(stored_config, &[other])]);
    assert_rejected(&lab, "oci", "sha256:");
    oci.index(&[valid]);
    inspect(&lab, &["oci"]);
}

#[test]
fn configs_that_are_named_by_digest_are_checked() {
    let lab = Lab::new();
    let layer = valid_layer();
    let config = config(&[&layer]).to_string();
    let hex = hex256(config.as_bytes());
    for name in [format!("{hex}.json"), format!("sha256:{hex}"), format!("blobs/sha256/{hex}")] {
        for (content, valid) in [(config.clone(), true), (format!("{config} "), false)] {
            let archive = TarBuilder::new()
                .file("l.tar", &layer)
                .file("manifest.json", manifest(&name, &["l.tar"]).to_string().as_bytes());
            lab.file("base.tar", archive.file(&name, content.as_bytes()).finish());
            match valid {
                true => drop(inspect(&lab, &["base.tar"])),
                false => assert_rejected(&lab, "base.tar", "is corrupted"),
            }
        }
    }
}

#[test]
fn a_dual_archive_must_list_the_same_image_in_both_halves() {
    let lab = Lab::new();
    lab.file("tree/a", "a");
    lab.file("other/a", "b");
    for folder in ["tree", "other"] {
        lab.file("r.toml", format!("name='base'\ntag='1'\ncontents='{folder}'\n"));
        lab.seatrial(["build", "r.toml", "--format", "dual", "-o", &format!("{folder}.tar")]).ok();
        lab.tool(
            "bash",
            ["-c", &format!("mkdir {folder}.d && tar -xf {folder}.tar -C {folder}.d")],
        );
    }
    inspect(&lab, &["tree.tar"]);
    let mix = "cp -r other.d/blobs tree.d/ && cp other.d/index.json tree.d/ && \
               cd tree.d && tar -cf ../mixed.tar *";
    lab.tool("bash", ["-c", mix]);
    assert_rejected(&lab, "mixed.tar", "manifest.json and index.json list different images");
    // The same layer twice, of which the layout has another copy.
    let text = fs::read_to_string(lab.path("other.d/manifest.json")).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    let layer = manifest[0]["Layers"][0].as_str().unwrap();
    fs::copy(lab.path("other.d").join(layer), lab.path("other.d/l.tar")).unwrap();
    manifest[0]["Layers"] = json!(["l.tar"]);
    lab.file("other.d/manifest.json", manifest.to_string());
    lab.tool("bash", ["-c", "cd other.d && tar -cf ../copy.tar *"]);
    assert_rejected(&lab, "copy.tar", "name different files for the same layers");
}

#[test]
fn the_same_member_twice_is_accepted_if_it_is_the_same() {
    let lab = Lab::new();
    let layer = valid_layer();
    let archive = docker_archive(config(&[&layer]).to_string().as_bytes(), &layer);
    let twice = [&archive[..archive.len() - 1024], &archive].concat();
    lab.file("base.tar", twice);
    inspect(&lab, &["base.tar"]);
    // The tar has the directory as well, and a member below a link would be another file to a
    // reader that extracts the archive.
    let below = TarBuilder::new()
        .member("a", tar::EntryType::Symlink, "b", b"")
        .file("a/l.tar", &layer)
        .file("c.json", config(&[&layer]).to_string().as_bytes())
        .file("manifest.json", manifest("c.json", &["a/l.tar"]).to_string().as_bytes());
    lab.file("base.tar", below.finish());
    assert_rejected(&lab, "base.tar", "is not a directory, but has members");
}

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
fn pipes_sockets_and_devices_in_an_oci_folder_are_not_opened() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let layer = oci.blob(&valid_layer(), OCI_LAYER);
    let config = oci.document(OCI_CONFIG, &config(&[&valid_layer()]));
    let image = oci.manifest(config.clone(), std::slice::from_ref(&layer));
    oci.index(std::slice::from_ref(&image));
    inspect(&lab, &["oci"]);
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        format!("oci/blobs/{}", digest.replace(':', "/"))
    };
    for name in [
        "oci/oci-layout".to_owned(),
        "oci/index.json".to_owned(),
        blob(&image),
        blob(&config),
        blob(&layer),
    ] {
        let (path, saved) = (lab.path(&name), lab.path("saved"));
        fs::rename(&path, &saved).unwrap();
        lab.tool("mkfifo", [name.as_str()]);
        assert_rejected(&lab, "oci", "is a pipe, not a regular file");
        fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        assert_rejected(&lab, "oci", "is a socket, not a regular file");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_rejected(&lab, "oci", "is a folder, not a regular file");
        fs::remove_dir(&path).unwrap();
        for target in ["/dev/zero", "/dev/tty", "../../../../../../../../../dev/zero"] {
            lab.link(&name, target);
            assert_rejected(&lab, "oci", "leads out of the folder");
            fs::remove_file(&path).unwrap();
        }
        fs::rename(&saved, &path).unwrap();
    }
}

#[test]
fn links_in_an_oci_folder_are_followed_within_it() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    oci.index(&[oci.image(&config(&[&valid_layer()]))]);
    lab.tool("mv", ["oci/blobs/sha256", "oci/store"]);
    lab.link("oci/blobs/sha256", "../../oci/store");
    assert_rejected(&lab, "oci", "leads out of the folder");
    fs::remove_file(lab.path("oci/blobs/sha256")).unwrap();
    lab.link("oci/blobs/sha256", ".././store");
    inspect(&lab, &["oci"]);
    lab.link("link", "oci");
    inspect(&lab, &["link"]);
    fs::remove_file(lab.path("oci/blobs/sha256")).unwrap();
    lab.link("oci/blobs/sha256", "sha256");
    assert_rejected(&lab, "oci", "leads out of the folder");
}

#[test]
fn errors_about_other_files_say_what_they_are() {
    let lab = Lab::new();
    let layer = valid_layer();
    let image = docker_archive(config(&[&layer]).to_string().as_bytes(), &layer);
    lab.file("image.tar", &image);
    lab.tool("bash", ["-c", "bzip2 -k image.tar; mkfifo pipe; mkdir dir; cp image.tar dir/"]);
    let root = TarBuilder::new()
        .member("bin/sh", tar::EntryType::Symlink, "/bin/busybox", b"")
        .member("dev/null", tar::EntryType::Char, "", b"")
        .file("etc/passwd", b"")
        .finish();
    lab.file("root.tar", root);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
    lab.file("pointer.tar", pointer);
    lab.file("page.tar", "\n<!DOCTYPE html><html><body>not found</body></html>".repeat(30));
    lab.file("manifest.json", "{}");
    lab.file("empty", "");
    lab.file("folder/manifest.json", "[]");
    for (name, expected) in [
        ("image.tar.bz2", "this is a file compressed with bzip2, not a tar archive"),
        ("root.tar", "not an image but a root file system, with bin, dev, etc"),
        ("pointer.tar", "this is a Git LFS pointer, not a tar archive"),
        ("page.tar", "this is a web page, not a tar archive"),
        ("manifest.json", "this is a JSON document, not a tar archive"),
        ("empty", "the file is empty"),
        ("dir", "the folder has no file oci-layout"),
        ("folder", "pack its files into a tar"),
        ("pipe", "it is a pipe"),
        ("-", "cannot be read from standard input"),
        ("alpine:3.20", "an image is given as a file or folder"),
        ("docker://alpine", "an image is given as a file or folder"),
        ("docker-archive:image.tar", "without a transport"),
        ("absent.tar", "No such file"),
    ] {
        assert_rejected(&lab, name, expected);
    }
    let piped = format!("cat image.tar | {} inspect /dev/stdin", env!("CARGO_BIN_EXE_seatrial"));
    let output = lab.command("bash").args(["-c", &piped]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("it is a pipe") && message.contains("a file first"), "{message}");
}

#[test]
fn errors_about_temporary_files_name_their_folder() {
    let lab = Lab::new();
    let layer = valid_layer();
    lab.file("image.tar", docker_archive(config(&[&layer]).to_string().as_bytes(), &layer));
    lab.tool("gzip", ["image.tar"]);
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["inspect", "image.tar.gz"]).env("TMPDIR", lab.path("absent"));
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "seatrial: failed to write a temporary file in {} (set TMPDIR to use another folder): ",
        lab.path("absent").display()
    );
    assert!(message.starts_with(&expected), "{message}");
    assert_eq!(output.status.code(), Some(3));
}
