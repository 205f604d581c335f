//! Hostile and broken base images: exit code 2, one clear line, nothing written.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::lab::{Lab, members};

/// Members of a tar under construction: name, type, link, content.
struct Forge(tar::Builder<Vec<u8>>);

impl Forge {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// Adds a member under a name that the `tar` crate itself would refuse.
    fn raw(mut self, name: &str, kind: tar::EntryType, link: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.raw(name, tar::EntryType::Regular, "", content)
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn hex256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> =
        layers.iter().map(|layer| format!("sha256:{}", hex256(layer))).collect();
    let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
    json!({ "architecture": "amd64", "os": "linux", "rootfs": rootfs }).to_string().into_bytes()
}

fn manifest(config: &str, layers: &[&str]) -> Vec<u8> {
    json!([{ "Config": config, "RepoTags": ["base:1"], "Layers": layers }]).to_string().into_bytes()
}

/// A docker-archive around one layer.
fn image(layer: &[u8]) -> Forge {
    Forge::new()
        .file("c.json", &config(&[layer]))
        .file("manifest.json", &manifest("c.json", &["l.tar"]))
        .file("l.tar", layer)
}

fn refused(base: &[u8], expected: &str) {
    let lab = Lab::new();
    lab.file("base.tar", base);
    let message = lab.refused("name='x'\nfrom_image='base.tar'\narchitecture='amd64'\n");
    assert!(message.contains("base.tar") && message.contains(expected), "{expected}: {message}");
    let message = lab.seatrial(["inspect", "base.tar"]).refused(&lab, "refused.tar");
    assert!(message.contains(expected), "{expected}: {message}");
}

fn good_layer() -> Vec<u8> {
    Forge::new().file("etc/x", b"x").finish()
}

#[test]
fn the_forged_image_itself_is_fine() {
    let lab = Lab::new();
    lab.file("base.tar", image(&good_layer()).finish());
    lab.seatrial(["inspect", "base.tar"]).ok();
}

#[test]
fn what_is_no_image_is_refused() {
    refused(b"", "neither manifest.json nor oci-layout");
    refused(&[b'x'; 4096], "checksum");
    refused(&good_layer(), "neither manifest.json nor oci-layout");
    let lab = Lab::new();
    fs::create_dir(lab.path("folder")).unwrap();
    assert!(lab.seatrial(["inspect", "folder"]).refused(&lab, "x").contains("without oci-layout"));
}

#[test]
fn truncated_images_are_refused_wherever_they_end() {
    let whole = image(&good_layer()).finish();
    for end in [100, 700, 2000, whole.len() - 1600] {
        let lab = Lab::new();
        lab.file("base.tar", &whole[..end]);
        lab.seatrial(["inspect", "base.tar"]).refused(&lab, "x");
    }
    let lab = Lab::new();
    lab.file("base.tar", whole);
    lab.tool("gzip", ["base.tar"]);
    let packed = fs::read(lab.path("base.tar.gz")).unwrap();
    refused(&packed[..packed.len() / 2], "cut short");
}

#[test]
fn corrupted_layers_and_configs_are_refused_with_both_digests() {
    let layer = good_layer();
    let mut bent = layer.clone();
    bent[512] = b'y';
    let base = Forge::new()
        .file("c.json", &config(&[&layer]))
        .file("manifest.json", &manifest("c.json", &["l.tar"]))
        .file("l.tar", &bent);
    refused(
        &base.finish(),
        &format!("expected sha256:{}, found sha256:{}", hex256(&layer), hex256(&bent)),
    );
    let config = config(&[&layer]);
    let name = format!("{}.json", hex256(b"another"));
    let base = Forge::new()
        .file(&name, &config)
        .file("manifest.json", &manifest(&name, &["l.tar"]))
        .file("l.tar", &layer);
    refused(&base.finish(), "is corrupted");
}

#[test]
fn names_that_leave_the_archive_are_refused() {
    for name in ["../evil", "/evil", "a/../../evil"] {
        refused(&image(&good_layer()).file(name, b"").finish(), "leaves the archive");
    }
    for target in ["../../etc/passwd", "/etc/passwd"] {
        let base = image(&good_layer()).raw("evil", tar::EntryType::Symlink, target, b"");
        refused(&base.finish(), "leaves the archive");
    }
    let layer = good_layer();
    for place in ["../l.tar", "/l.tar"] {
        let base = Forge::new()
            .file("c", &config(&[&layer]))
            .file("manifest.json", &manifest("c", &[place]));
        refused(&base.finish(), "outside the archive");
    }
    let evil = Forge::new().file("../etc/passwd", b"root").finish();
    refused(&image(&evil).finish(), "leads out of the image");
}

#[test]
fn circular_links_end() {
    let base = Forge::new()
        .raw("c.json", tar::EntryType::Symlink, "d.json", b"")
        .raw("d.json", tar::EntryType::Symlink, "c.json", b"")
        .file("manifest.json", &manifest("c.json", &[]));
    refused(&base.finish(), "it has no c.json");
    let layer = Forge::new()
        .raw("a", tar::EntryType::Symlink, "b", b"")
        .raw("b", tar::EntryType::Symlink, "a", b"")
        .finish();
    let lab = Lab::new();
    lab.file("base.tar", image(&layer).finish());
    lab.file("own/a/x", "");
    let message =
        lab.refused("name='x'\nfrom_image='base.tar'\narchitecture='amd64'\ncontents='own'\n");
    assert!(message.contains("more than 40 symlinks"), "{message}");
}

#[test]
fn duplicates_are_refused() {
    let other = manifest("other", &[]);
    refused(
        &image(&good_layer()).file("manifest.json", &other).finish(),
        "two members are called \"manifest.json\"",
    );
    refused(
        &image(&good_layer()).file("./l.tar", b"").finish(),
        "two members are called \"l.tar\"",
    );
}

#[test]
fn oversized_documents_and_records_are_refused_without_being_read() {
    let big = vec![b' '; 17 << 20];
    let layer = good_layer();
    let base = Forge::new().file("manifest.json", &big).file("l.tar", &layer);
    refused(&base.finish(), "larger than 16 MiB");
    let base = Forge::new()
        .file("c", &big)
        .file("manifest.json", &manifest("c", &["l.tar"]))
        .file("l.tar", &layer);
    refused(&base.finish(), "larger than 16 MiB");
    let record =
        Forge::new().raw("././@LongLink", tar::EntryType::GNULongName, "", &big).file("x", b"");
    refused(&image(&record.finish()).finish(), "more than 1 MiB");
}

#[test]
fn sizes_that_lie_are_refused() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(u64::MAX >> 1);
    header.as_gnu_mut().unwrap().name[0] = b'x';
    header.set_cksum();
    refused(&[&header.as_bytes()[..], &[0; 1024]].concat(), "cut short");
    refused(&image(&header.as_bytes()[..]).finish(), "cut short");
}

#[test]
fn decompression_bombs_are_refused() {
    let lab = Lab::new();
    // zstd packs zeros some 20 000 to 1; deflate cannot reach the limit.
    let bomb = "head -c 300M /dev/zero | zstd -q -19 -o bomb.zst";
    lab.tool("bash", ["-c", bomb]);
    let bomb = fs::read(lab.path("bomb.zst")).unwrap();
    refused(&image(&bomb).finish(), "decompression bomb");
    let huge =
        "{ printf x; head -c 511 /dev/zero; head -c 300M /dev/zero; } | zstd -q -19 -o archive.zst";
    lab.tool("bash", ["-c", huge]);
    let archive = fs::read(lab.path("archive.zst")).unwrap();
    refused(&archive, "decompression bomb");
}

#[test]
fn bare_whiteouts_are_refused() {
    for name in ["etc/.wh.", ".wh.", "etc/.wh...", "etc/.wh.."] {
        let layer = Forge::new().file(name, b"").finish();
        refused(&image(&layer).finish(), "to nothing");
    }
}

#[test]
fn manifests_that_do_not_fit_are_refused() {
    let layer = good_layer();
    let with = |manifest: &[u8]| {
        Forge::new()
            .file("c", &config(&[&layer]))
            .file("manifest.json", manifest)
            .file("l.tar", &layer)
            .finish()
    };
    refused(
        &with(&manifest("c", &["l.tar", "l.tar"])),
        "the manifest has 2 layers, the config 1 diff ids",
    );
    refused(&with(&manifest("c", &["absent.tar"])), "it has no layer absent.tar");
    refused(&with(&manifest("absent", &["l.tar"])), "it has no absent");
    refused(&with(b"{}"), "manifest.json: ");
    refused(&with(b"[]"), "lists no named image");
    refused(&with(b"[nonsense"), "manifest.json: ");
}

#[test]
fn an_oci_layout_with_bent_missing_or_short_blobs_is_refused() {
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
        for (what, content) in
            [("bent", Some([&b"!"[..], &blob.content[1..]].concat())), ("missing", None)]
        {
            let folder = lab.path(format!("{what}-{}", &blob.name[13..20]));
            fs::create_dir(&folder).unwrap();
            lab.tool("tar", ["-xf", "oci.tar", "-C", folder.to_str().unwrap()]);
            match content {
                Some(content) => fs::write(folder.join(&blob.name), content).unwrap(),
                None => fs::remove_file(folder.join(&blob.name)).unwrap(),
            }
            let message = lab.seatrial(["inspect", folder.to_str().unwrap()]).refused(&lab, "x");
            let expected = if what == "bent" { "corrupted" } else { "has no" };
            assert!(
                message.contains(expected) || what == "bent" && message.contains("checksum"),
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
