//! The JSON documents of images: what engines read, `inspect` reads the same way, and what they
//! would read differently is rejected.

use std::fs;

use serde_json::{Value, json};

use crate::forge::{
    OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, OciFolder, TarBuilder, archive_with, config,
    docker_archive, hex256, manifest, valid_layer, with,
};
use crate::lab::Lab;
use crate::reading::{assert_rejected, inspect};

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
