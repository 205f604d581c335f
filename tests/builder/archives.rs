//! Hostile and broken images are rejected with exit code 2, a one-line error, and no output file.

use std::fs;

use serde_json::Value;

use crate::forge::{self, TarBuilder, hex256, valid_layer};
use crate::lab::{Lab, members};

fn config(layers: &[&[u8]]) -> Vec<u8> {
    forge::config(layers).to_string().into_bytes()
}

fn manifest(config: &str, layers: &[&str]) -> Vec<u8> {
    forge::manifest(config, layers).to_string().into_bytes()
}

/// A docker-archive with one layer.
fn image(layer: &[u8]) -> TarBuilder {
    TarBuilder::new()
        .file("c.json", &config(&[layer]))
        .file("manifest.json", &manifest("c.json", &["l.tar"]))
        .file("l.tar", layer)
}

/// Asserts that `build` and `inspect` reject an image with an error that contains `expected`.
fn assert_rejected(base: &[u8], expected: &str) {
    let lab = Lab::new();
    lab.file("base.tar", base);
    let message = lab.rejected("name='x'\nfrom_image='base.tar'\narchitecture='amd64'\n");
    assert!(message.contains("base.tar") && message.contains(expected), "{expected}: {message}");
    let message = lab.seatrial(["inspect", "base.tar"]).rejected(&lab, "rejected.tar");
    assert!(message.contains(expected), "{expected}: {message}");
}

#[test]
fn the_test_image_without_defects_is_accepted() {
    let lab = Lab::new();
    lab.file("base.tar", image(&valid_layer()).finish());
    lab.seatrial(["inspect", "base.tar"]).ok();
}

#[test]
fn files_and_folders_that_are_not_images_are_rejected() {
    assert_rejected(b"", "not an image: the file is empty");
    assert_rejected(&[b'x'; 4096], "not an image; expected a docker-archive or an OCI layout");
    assert_rejected(&valid_layer(), "neither manifest.json nor oci-layout");
    let lab = Lab::new();
    fs::create_dir(lab.path("folder")).unwrap();
    assert!(lab.seatrial(["inspect", "folder"]).rejected(&lab, "x").contains("no file oci-layout"));
}

#[test]
fn truncated_images_are_rejected() {
    let whole = image(&valid_layer()).finish();
    for end in [100, 700, 2000, whole.len() - 1600] {
        let lab = Lab::new();
        lab.file("base.tar", &whole[..end]);
        lab.seatrial(["inspect", "base.tar"]).rejected(&lab, "x");
    }
    let lab = Lab::new();
    lab.file("base.tar", whole);
    lab.tool("gzip", ["base.tar"]);
    let compressed = fs::read(lab.path("base.tar.gz")).unwrap();
    assert_rejected(&compressed[..compressed.len() / 2], "truncated");
}

#[test]
fn corrupted_layers_and_configs_are_rejected_with_both_digests() {
    let layer = valid_layer();
    let mut corrupted = layer.clone();
    corrupted[512] = b'y';
    let base = TarBuilder::new()
        .file("c.json", &config(&[&layer]))
        .file("manifest.json", &manifest("c.json", &["l.tar"]))
        .file("l.tar", &corrupted);
    assert_rejected(
        &base.finish(),
        &format!("expected sha256:{}, found sha256:{}", hex256(&layer), hex256(&corrupted)),
    );
    let config = config(&[&layer]);
    let name = format!("{}.json", hex256(b"another"));
    let base = TarBuilder::new()
        .file(&name, &config)
        .file("manifest.json", &manifest(&name, &["l.tar"]))
        .file("l.tar", &layer);
    assert_rejected(&base.finish(), "is corrupted");
}

#[test]
fn names_outside_the_archive_are_rejected() {
    for name in ["../evil", "/evil", "a/../../evil"] {
        assert_rejected(&image(&valid_layer()).file(name, b"").finish(), "is outside the archive");
    }
    for target in ["../../etc/passwd", "/etc/passwd"] {
        let base = image(&valid_layer()).member("evil", tar::EntryType::Symlink, target, b"");
        assert_rejected(&base.finish(), "is outside the archive");
    }
    let layer = valid_layer();
    for place in ["../l.tar", "/l.tar"] {
        let base = TarBuilder::new()
            .file("c", &config(&[&layer]))
            .file("manifest.json", &manifest("c", &[place]));
        assert_rejected(&base.finish(), "names a file outside the archive");
    }
    let evil = TarBuilder::new().file("../etc/passwd", b"root").finish();
    assert_rejected(&image(&evil).finish(), "unsafe or empty path: \"../etc/passwd\"");
}

#[test]
fn circular_symlinks_are_rejected() {
    let base = TarBuilder::new()
        .member("c.json", tar::EntryType::Symlink, "d.json", b"")
        .member("d.json", tar::EntryType::Symlink, "c.json", b"")
        .file("manifest.json", &manifest("c.json", &[]));
    assert_rejected(&base.finish(), "c.json is missing");
    let layer = TarBuilder::new()
        .member("a", tar::EntryType::Symlink, "b", b"")
        .member("b", tar::EntryType::Symlink, "a", b"")
        .finish();
    let lab = Lab::new();
    lab.file("base.tar", image(&layer).finish());
    lab.file("own/a/x", "");
    let message =
        lab.rejected("name='x'\nfrom_image='base.tar'\narchitecture='amd64'\ncontents='own'\n");
    assert!(message.contains("more than 40 symlinks"), "{message}");
}

#[test]
fn different_members_of_one_name_are_rejected() {
    let other = manifest("other", &[]);
    assert_rejected(
        &image(&valid_layer()).file("manifest.json", &other).finish(),
        "the archive has two different members \"manifest.json\"",
    );
    assert_rejected(
        &image(&valid_layer()).file("./l.tar", b"").finish(),
        "the archive has two different members \"l.tar\"",
    );
}

#[test]
fn oversized_documents_and_records_are_rejected() {
    let big = vec![b' '; 17 << 20];
    let layer = valid_layer();
    let base = TarBuilder::new().file("manifest.json", &big).file("l.tar", &layer);
    assert_rejected(&base.finish(), "larger than 4 MiB");
    let base = TarBuilder::new()
        .file("c", &big)
        .file("manifest.json", &manifest("c", &["l.tar"]))
        .file("l.tar", &layer);
    assert_rejected(&base.finish(), "larger than 4 MiB");
    let record = TarBuilder::new()
        .member("././@LongLink", tar::EntryType::GNULongName, "", &big)
        .file("x", b"");
    assert_rejected(&image(&record.finish()).finish(), "more than 1 MiB");
}

#[test]
fn members_larger_than_the_archive_are_rejected() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(u64::MAX >> 1);
    header.as_gnu_mut().unwrap().name[0] = b'x';
    header.set_cksum();
    assert_rejected(&[&header.as_bytes()[..], &[0; 1024]].concat(), "truncated");
    assert_rejected(&image(&header.as_bytes()[..]).finish(), "truncated");
}

#[test]
fn images_that_decompress_to_more_than_the_limit_are_rejected() {
    let lab = Lab::new();
    let compress = |commands: &str| {
        lab.tool("bash", ["-c", &format!("{{ {commands}; }} | zstd -q -19 -f -o bomb.zst")]);
        fs::read(lab.path("bomb.zst")).unwrap()
    };
    let zeros = compress("head -c 30M /dev/zero");
    lab.file("layer.tar", image(&zeros).finish());
    lab.file("archive.tar.zst", compress("head -c 10240 layer.tar; head -c 30M /dev/zero"));
    for image in ["layer.tar", "archive.tar.zst"] {
        let run = lab.seatrial(["inspect", image, "--max-size", "20M"]);
        let error = run.rejected(&lab, "none");
        assert!(
            error.contains("more than 20971520 bytes") && error.contains("--max-size"),
            "{error}"
        );
    }
}

#[test]
fn whiteouts_without_a_valid_name_are_rejected() {
    for name in ["etc/.wh.", ".wh.", "etc/.wh...", "etc/.wh.."] {
        let layer = TarBuilder::new().file(name, b"").finish();
        assert_rejected(&image(&layer).finish(), "unsafe or empty path");
    }
}

#[test]
fn manifests_that_contradict_the_archive_are_rejected() {
    let layer = valid_layer();
    let with = |manifest: &[u8]| {
        TarBuilder::new()
            .file("c", &config(&[&layer]))
            .file("manifest.json", manifest)
            .file("l.tar", &layer)
            .finish()
    };
    assert_rejected(
        &with(&manifest("c", &["l.tar", "l.tar"])),
        "the manifest has 2 layers, but the config has 1 diff IDs",
    );
    assert_rejected(&with(&manifest("c", &["absent.tar"])), "layer absent.tar is missing");
    assert_rejected(&with(&manifest("absent", &["l.tar"])), "absent is missing");
    assert_rejected(&with(b"{}"), "manifest.json: ");
    assert_rejected(&with(b"[]"), "lists no image");
    assert_rejected(&with(b"[nonsense"), "manifest.json: ");
}

#[test]
fn oci_layouts_with_corrupted_or_missing_blobs_are_rejected() {
    let lab = Lab::new();
    lab.file("tree/a", "a");
    lab.file("base.toml", "name='base'\ntag='1'\ncontents='tree'\n");
    lab.seatrial(["build", "base.toml", "--format", "oci", "-o", "oci.tar"]).ok();
    let files = members(&fs::read(lab.path("oci.tar")).unwrap());
    let blobs: Vec<_> = files
        .iter()
        .filter(|file| file.name.starts_with("blobs/sha256/") && file.kind == '0')
        .collect();
    assert_eq!(blobs.len(), 3);
    for blob in blobs {
        for (defect, content) in
            [("corrupted", Some([&b"!"[..], &blob.content[1..]].concat())), ("missing", None)]
        {
            let folder = lab.path(format!("{defect}-{}", &blob.name[13..20]));
            fs::create_dir(&folder).unwrap();
            lab.tool("tar", ["-xf", "oci.tar", "-C", folder.to_str().unwrap()]);
            match content {
                Some(content) => fs::write(folder.join(&blob.name), content).unwrap(),
                None => fs::remove_file(folder.join(&blob.name)).unwrap(),
            }
            let message = lab.seatrial(["inspect", folder.to_str().unwrap()]).rejected(&lab, "x");
            let expected = if defect == "corrupted" { "corrupted" } else { "is missing" };
            assert!(
                message.contains(expected) || defect == "corrupted" && message.contains("checksum"),
                "{message}"
            );
        }
    }
    let index: Value =
        serde_json::from_slice(&files.iter().find(|f| f.name == "index.json").unwrap().content)
            .unwrap();
    assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "1");
    assert_eq!(
        index["manifests"][0]["annotations"]["io.containerd.image.name"],
        "docker.io/library/base:1"
    );
}
