//! Layers are read as container engines read them. Forged tars, in which readers of other languages
//! see other members, are compared with umoci, which unpacks them with Go's `archive/tar` as Docker
//! and containerd do.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use seatrial::archive::tar::MemberKind;
use seatrial::archive::tree::Tree;
use seatrial::archive::{ImageSelector, Limits, files, open, verify};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::forge::TarBuilder;
use crate::lab::Lab;
use crate::raw_tar::{file, layer, long_name, member, pax};

/// Writes an OCI layout with one layer to the folder `layout`.
pub fn layout(lab: &Lab, layer: &[u8]) {
    let blob = |bytes: &[u8], media_type: &str| {
        let digest = hex::encode(Sha256::digest(bytes));
        lab.file(format!("layout/blobs/sha256/{digest}"), bytes);
        let media_type = format!("application/vnd.oci.image.{media_type}");
        let (digest, size) = (format!("sha256:{digest}"), bytes.len());
        json!({ "mediaType": media_type, "digest": digest, "size": size })
    };
    let layer = blob(layer, "layer.v1.tar");
    let rootfs = json!({ "type": "layers", "diff_ids": [layer["digest"]] });
    let config = json!({ "architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs });
    let config = blob(config.to_string().as_bytes(), "config.v1+json");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]
    });
    let mut manifest = blob(manifest.to_string().as_bytes(), "manifest.v1+json");
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "t" });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    lab.file("layout/index.json", index.to_string());
    lab.file("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
}

type Files = BTreeMap<String, (MemberKind, String)>;

/// The files, directories and links that umoci unpacks; `None` if it rejects the layer.
fn unpacked(lab: &Lab) -> Option<Files> {
    let mut umoci = lab.command("umoci");
    umoci.args(["raw", "unpack", "--rootless", "--image", "layout:t", "rootfs"]);
    umoci.output().unwrap().status.success().then(|| {
        let mut found = Files::new();
        walk(&lab.path("rootfs"), "", &mut found);
        found
    })
}

fn walk(folder: &Path, prefix: &str, found: &mut Files) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        let metadata = entry.path().symlink_metadata().unwrap();
        let (kind, content) = if metadata.is_dir() {
            walk(&entry.path(), &path, found);
            (MemberKind::Directory, String::new())
        } else if metadata.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            (MemberKind::Symlink, target.to_string_lossy().into_owned())
        } else {
            (MemberKind::File, fs::read_to_string(entry.path()).unwrap())
        };
        found.insert(path, (kind, content));
    }
}

/// The same as the program reads it, of `paths`.
fn read(lab: &Lab, paths: &[&str]) -> Result<Files, String> {
    let image = open(&lab.path("layout"), &ImageSelector::default()).map_err(|e| e.to_string())?;
    let layers = verify::layers(&image, 1).map_err(|e| e.to_string())?;
    let tree = Tree::from_layers(layers.into_iter().map(|layer| layer.tree));
    let found = files::find(&image, &tree, paths).map_err(|e| e.to_string())?;
    let file = |path: &&str| {
        let name = path.trim_start_matches('/');
        // A directory without an entry has no file information.
        let implied = || tree.get(name.as_bytes()).map(|_| (MemberKind::Directory, String::new()));
        let known = found.get(*path).map(|file| match file.kind {
            MemberKind::Symlink => (file.kind, String::from_utf8_lossy(&file.link).into_owned()),
            kind => {
                let content = file.content.clone().unwrap_or_default();
                (kind, String::from_utf8(content).unwrap())
            }
        });
        Some((path.to_string(), known.or_else(implied)?))
    };
    Ok(paths.iter().filter_map(file).collect())
}

#[test]
fn folders_without_an_entry_and_symlinks_have_the_modes_that_a_container_sees() {
    let lab = Lab::new();
    let link = TarBuilder::new().member("opt/app/link", tar::EntryType::Symlink, "x", b"");
    layout(&lab, &link.file("opt/app/x", b"x").finish());
    let image = open(&lab.path("layout"), &ImageSelector::default()).unwrap();
    let layers = verify::layers(&image, 1).unwrap();
    let tree = Tree::from_layers(layers.into_iter().map(|layer| layer.tree));
    let paths = ["/", "/opt/", "/opt/app/../app", "/opt/app/link", "/opt/app/x", "/opt/no/"];
    let found = files::find(&image, &tree, &paths).unwrap();
    let modes: Vec<_> = paths.map(|path| Some(found.get(path)?.mode)).into();
    // Linux has no other mode of symlinks; moby's pkg/archive, ImpliedDirectoryMode.
    let folder = Some(0o755);
    assert_eq!(modes, [folder, folder, folder, Some(0o777), Some(0o644), None]);
}

/// Asserts that the program sees the same of `paths` as umoci, which sees nothing else.
fn assert_same(label: &str, layer: &[u8], paths: &[&str]) {
    let lab = Lab::new();
    layout(&lab, layer);
    let expected = unpacked(&lab).unwrap_or_else(|| panic!("{label}: umoci rejects it"));
    assert!(expected.keys().all(|path| paths.contains(&path.as_str())), "{label}: {expected:?}");
    assert_eq!(read(&lab, paths), Ok(expected), "{label}");
}

/// Asserts that both reject the layer.
fn assert_both_reject(label: &str, layer: &[u8], problem: &str) {
    let lab = Lab::new();
    layout(&lab, layer);
    assert_eq!(unpacked(&lab), None, "{label}: umoci accepts it");
    let error = read(&lab, &["/a"]).unwrap_err();
    assert!(error.contains(problem), "{label}: {error}");
}

#[test]
fn names_and_sizes_follow_the_records_that_go_prefers() {
    let both = layer(&[pax(&[("path", "pax")]), long_name("gnu"), file("a", "x")]);
    assert_same("a GNU long name wins over a PAX path", &both, &["/pax", "/gnu", "/a"]);
    let reversed = layer(&[long_name("gnu"), pax(&[("path", "pax")]), file("a", "x")]);
    assert_same("in any order", &reversed, &["/pax", "/gnu", "/a"]);
    let empty = layer(&[pax(&[("path", "")]), file("a", "x")]);
    assert_same("an empty PAX path keeps the header's name", &empty, &["/a"]);
    let two = layer(&[pax(&[("path", "one")]), pax(&[("uid", "0")]), file("a", "x")]);
    assert_same("of two PAX headers the last counts alone", &two, &["/one", "/a"]);
    let repeated = layer(&[pax(&[("path", "one"), ("path", "two")]), file("a", "x")]);
    assert_same("of a key twice the last counts", &repeated, &["/one", "/two", "/a"]);
    let value = layer(&[pax(&[("comment", "a\n17 path=smuggled")]), file("a", "x")]);
    assert_same("a value may contain newlines", &value, &["/smuggled", "/a"]);
}

#[test]
fn types_follow_the_header_and_not_the_name() {
    let slash = layer(&[member("a/", b'0', "", b"x")]);
    assert_same("a file with a slash at the end", &slash, &["/a"]);
    let old = layer(&[member("a/", 0, "", b"")]);
    assert_same("an old archive's directory", &old, &["/a"]);
    for kind in [b'7', b'V', b'M', b'D', b'N', b'Z'] {
        let layer = layer(&[member("a", kind, "", b"")]);
        assert_both_reject("an unknown type", &layer, "which container engines reject");
    }
}

#[test]
fn an_archive_ends_at_two_zero_blocks() {
    let single = [file("a", "x"), vec![0; 512], file("b", "x"), vec![0; 1024]].concat();
    assert_both_reject("a single zero block", &single, "a single zero block");
    let behind = [file("a", "x"), vec![0; 1024], file("b", "x"), vec![0; 1024]].concat();
    assert_same("members behind the end", &behind, &["/a", "/b"]);
}

#[test]
fn of_a_path_that_occurs_twice_the_last_entry_counts() {
    let twice = layer(&[file("a", "old"), file("a", "newer")]);
    assert_same("a file twice", &twice, &["/a"]);
    let replaced = layer(&[file("a/b", "x"), file("a", "y")]);
    assert_same("a file in the place of a directory", &replaced, &["/a", "/a/b"]);
}

#[test]
fn a_hard_link_has_the_content_that_its_target_had_in_the_same_layer() {
    let link = |name: &str, target: &str| member(name, b'1', target, b"");
    let simple = layer(&[file("a", "x"), link("b", "a"), link("c", "b")]);
    assert_same("links to links", &simple, &["/a", "/b", "/c"]);
    let replaced = layer(&[file("a", "old"), link("b", "a"), file("a", "newer")]);
    assert_same("a target that is replaced afterwards", &replaced, &["/a", "/b"]);
}

#[test]
fn entries_below_a_symlink_of_the_same_layer_are_where_it_leads() {
    let symlink = |name: &str, target: &str| member(name, b'2', target, b"");
    let relative =
        layer(&[member("usr/", b'5', "", b""), symlink("bin", "usr"), file("bin/a", "x")]);
    assert_same("a relative symlink", &relative, &["/usr", "/usr/a", "/bin"]);
    let absolute = layer(&[symlink("bin", "/usr"), file("bin/a", "x")]);
    assert_same("an absolute symlink", &absolute, &["/usr", "/usr/a", "/bin"]);
}

#[test]
fn sparse_files_have_their_real_name_size_and_content() {
    let lab = Lab::new();
    lab.tool("bash", ["-c", "printf head > a; truncate -s 200000 a; printf tail >> a"]);
    for (name, options) in [
        ("old GNU format", "--format=gnu"),
        ("PAX format 0.0", "--format=pax --sparse-version=0.0"),
        ("PAX format 0.1", "--format=pax --sparse-version=0.1"),
        ("PAX format 1.0", "--format=pax --sparse-version=1.0"),
    ] {
        lab.tool("bash", ["-c", &format!("tar --sparse {options} -cf layer.tar a")]);
        let layer = fs::read(lab.path("layer.tar")).unwrap();
        assert!(layer.len() < 100_000, "{name} is not sparse");
        let copy = Lab::new();
        layout(&copy, &layer);
        let found = read(&copy, &["/a"]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let content = fs::read_to_string(lab.path("a")).unwrap();
        assert_eq!(found["/a"], (MemberKind::File, content), "{name}");
    }
    assert_eq!(lab.path("a").metadata().unwrap().size(), 200_004);
}

#[test]
fn zstd_may_begin_with_a_skippable_frame_and_gzip_may_have_several_members() {
    let lab = Lab::new();
    let first = file("a", "x");
    lab.file("first", &first);
    lab.file("rest", layer(&[file("b", "y")]));
    let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";
    lab.file("skippable", skippable);
    lab.tool("bash", ["-c", "cat first rest | zstd -qc | cat skippable - > layer.zst"]);
    lab.tool("bash", ["-c", "{ gzip -c first; gzip -c rest; } > layer.gz"]);
    for stored in ["layer.zst", "layer.gz"] {
        let diff_id =
            hex::encode(Sha256::digest([first.clone(), layer(&[file("b", "y")])].concat()));
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] }
        });
        lab.file("image/config.json", config.to_string());
        let manifest =
            json!([{ "Config": "config.json", "RepoTags": ["t:1"], "Layers": [stored] }]);
        lab.file("image/manifest.json", manifest.to_string());
        fs::copy(lab.path(stored), lab.path("image").join(stored)).unwrap();
        lab.tool(
            "tar",
            ["-C", "image", "-cf", "image.tar", "config.json", "manifest.json", stored],
        );
        lab.seatrial(["inspect", "image.tar"]).ok();
    }
}

#[test]
fn limits_bound_what_an_image_decompresses_to_and_how_many_entries_it_has() {
    let lab = Lab::new();
    let entries: Vec<Vec<u8>> = (0..50).map(|number| file(&number.to_string(), "x")).collect();
    layout(&lab, &layer(&entries));
    let limited = |limits| {
        let selector = ImageSelector { limits, ..ImageSelector::default() };
        let image = open(&lab.path("layout"), &selector).unwrap();
        verify::layers(&image, 1).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(limited(Limits { entries: 50, ..Limits::default() }), Ok(()));
    let error = limited(Limits { entries: 49, ..Limits::default() }).unwrap_err();
    assert!(error.contains("more than 49 entries"), "{error}");
    // A thousand paths of 2000 folders each, in 16 KB: every folder of every path is a directory.
    let deep = |number: usize| {
        let path = format!("{number}/{}x", "a/".repeat(1900));
        [pax(&[("path", &path)]), file("a", "")].concat()
    };
    let deep: Vec<Vec<u8>> = (0..1000).map(deep).collect();
    layout(&lab, &layer(&deep));
    assert_eq!(limited(Limits::default()), Ok(()));
    let too_long = layer(&[pax(&[("path", &"a/".repeat(2049))]), file("a", "")]);
    layout(&lab, &too_long);
    let error = limited(Limits::default()).unwrap_err();
    assert!(error.contains("more than 4096 bytes"), "{error}");
}
