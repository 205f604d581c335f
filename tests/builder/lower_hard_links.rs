//! Hard links to files of lower layers, as tools unpack them that put layers on top of each other.
//! Engines on overlayfs reject such images.

use std::fs;

use serde_json::json;
use tar::EntryType;

use crate::forge::{OCI_CONFIG, OCI_LAYER, OciFolder, config, with};
use crate::lab::Lab;

/// The path of an entry, its kind, the target of a link or the content, owner and mode.
type Entry = (&'static str, EntryType, &'static str, u64, u32);

const fn file(path: &'static str, content: &'static str) -> Entry {
    (path, EntryType::Regular, content, 0, 0o644)
}

const fn link(path: &'static str, target: &'static str) -> Entry {
    (path, EntryType::Link, target, 0, 0o644)
}

const fn symlink(path: &'static str, target: &'static str) -> Entry {
    (path, EntryType::Symlink, target, 0, 0o777)
}

const fn folder(path: &'static str) -> Entry {
    (path, EntryType::Directory, "", 0, 0o755)
}

/// Writes an OCI layout `layout` of an image `t` with these layers.
fn image(lab: &Lab, layers: &[&[Entry]]) {
    let tar = |entries: &&[Entry]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, text, owner, mode) in *entries {
            let is_file = *kind == EntryType::Regular;
            let content = if is_file { text.as_bytes() } else { b"" };
            let mut header = tar::Header::new_ustar();
            header.set_path(path).unwrap();
            header.set_entry_type(*kind);
            if !is_file && !text.is_empty() {
                header.set_link_name(text).unwrap();
            }
            header.set_size(content.len() as u64);
            header.set_uid(*owner);
            header.set_gid(0);
            header.set_mode(*mode);
            header.set_mtime(1);
            header.set_cksum();
            tar.append(&header, content).unwrap();
        }
        tar.into_inner().unwrap()
    };
    let tars: Vec<Vec<u8>> = layers.iter().map(tar).collect();
    let slices: Vec<&[u8]> = tars.iter().map(Vec::as_slice).collect();
    let oci = OciFolder::new(lab, "layout");
    let blobs: Vec<_> = slices.iter().map(|tar| oci.blob(tar, OCI_LAYER)).collect();
    let manifest = oci.manifest(oci.document(OCI_CONFIG, &config(&slices)), &blobs);
    let name = json!({ "org.opencontainers.image.ref.name": "t" });
    oci.index(&[with(manifest, json!({ "annotations": name }))]);
}

/// Fails if a path of the image does not have the content or, as a symlink, the target.
#[cfg(feature = "vm")]
fn check(lab: &Lab, files: &[(String, String)]) {
    let rule = |(path, expected): &(String, String)| match expected.strip_prefix("-> ") {
        Some(target) => format!("[[file]]\npath = '/{path}'\ntarget = '{target}'\n"),
        None => format!("[[file]]\npath = '/{path}'\ntype = 'file'\ncontent = {expected:?}\n"),
    };
    // The layers have no entry for the root.
    let root = "[[file]]\npath = '/'\ntype = 'directory'\nmode = '0755'\n";
    let rules = files.iter().map(rule).chain([root.to_owned()]);
    lab.file("e.toml", rules.collect::<String>());
    let check = ["check", "layout", "--no-vm", "--platform", "amd64", "--expect", "e.toml"];
    lab.seatrial(check).ok();
}

/// The files in a folder of the lab, with their contents or `-> TARGET`.
fn files(lab: &Lab, root: &str) -> Vec<(String, String)> {
    let list = format!("cd {root} && find . -mindepth 1 ! -type d -printf '%P\\n' | sort");
    let paths = lab.tool("bash", ["-c", &list]);
    let content = |path: &str| {
        let file = lab.path(root).join(path);
        match fs::read_link(&file) {
            Ok(target) => format!("-> {}", target.display()),
            Err(_) => fs::read_to_string(file).unwrap(),
        }
    };
    paths.lines().map(|path| (path.to_owned(), content(path))).collect()
}

/// Layers, and a file with its content that shows what they are about.
type Case<'a> = (&'a [&'a [Entry]], (&'a str, &'a str));

#[test]
fn hard_links_name_the_file_that_is_there_when_they_are_unpacked() {
    const OLD: &[Entry] = &[file("a", "old")];
    const LINKED_FOLDER: &[Entry] = &[folder("usr"), file("usr/a", "old"), symlink("lib", "usr")];
    let cases: [Case<'_>; 9] = [
        (&[OLD, &[link("x", "a"), file("a", "new")]], ("x", "old")),
        (&[OLD, &[link("x", "a"), file("a", "new"), link("y", "a")]], ("y", "new")),
        (&[OLD, &[link("x", "a"), file(".wh.a", "")]], ("x", "old")),
        (&[OLD, &[link("x", "a"), file(".wh..wh..opq", "")]], ("x", "old")),
        (&[OLD, &[link("b", "a")], &[link("c", "b"), file("a", "new")]], ("c", "old")),
        (&[LINKED_FOLDER, &[link("x", "lib/a")]], ("x", "old")),
        (&[LINKED_FOLDER, &[file("usr/a", "new"), link("x", "lib/a")]], ("x", "new")),
        (&[LINKED_FOLDER, &[symlink("l", "lib"), link("x", "l/a")]], ("x", "old")),
        (&[&[OLD[0], symlink("s", "a")], &[link("x", "s")]], ("x", "-> a")),
    ];
    for (layers, (path, content)) in cases {
        let lab = Lab::new();
        image(&lab, layers);
        lab.tool("umoci", ["unpack", "--rootless", "--image", "layout:t", "bundle"]);
        let unpacked = files(&lab, "bundle/rootfs");
        assert!(unpacked.contains(&(path.to_owned(), content.to_owned())), "{unpacked:?}");
        lab.seatrial(["export", "layout", "-o", "ours.tar"]).ok();
        fs::create_dir(lab.path("ours")).unwrap();
        lab.tool("tar", ["--no-same-owner", "-xpf", "ours.tar", "-C", "ours"]);
        assert_eq!(files(&lab, "ours"), unpacked);
        #[cfg(feature = "vm")]
        check(&lab, &unpacked);
    }
}

#[test]
fn a_hard_link_to_a_file_that_the_layer_has_removed_or_replaced_before_is_broken() {
    let cases: [&[&[Entry]]; 6] = [
        &[&[file("a", "x")], &[file(".wh.a", ""), link("x", "a")]],
        &[&[file("d/a", "x")], &[folder("d"), file("d/.wh..wh..opq", ""), link("x", "d/a")]],
        &[&[file("a", "x")], &[folder("a"), link("x", "a")]],
        &[&[file("d/a", "x")], &[symlink("d", "e"), link("x", "d/a")]],
        &[&[file("x", "x")], &[link("x", "x")]],
        &[&[folder("a")], &[link("x", "a")]],
    ];
    for layers in cases {
        let lab = Lab::new();
        image(&lab, layers);
        let mut umoci = lab.command("umoci");
        umoci.args(["unpack", "--rootless", "--image", "layout:t", "bundle"]);
        assert!(!umoci.output().unwrap().status.success(), "{layers:?}");
        let run = lab.seatrial(["export", "layout", "-o", "ours.tar"]);
        assert_eq!(run.output.status.code(), Some(2), "{layers:?}");
        assert!(run.stderr().contains("/x is a hard link to"), "{}", run.stderr());
        let change = "name='n'\nfrom_image='layout'\n[[path]]\npath='/x'\nmode='0600'\n";
        let message = lab.rejected(change);
        let problem = "path /x: it is a hard link to";
        assert!(message.contains(problem) && message.contains("does not have"), "{message}");
    }
}

/// Lists the files that buildah unpacks.
const LIST: &str = "
    set -e; top=$PWD
    buildah() { command buildah --root $top/root --runroot $top/run --storage-driver vfs \"$@\"; }
    buildah pull oci:layout:t
    cd $(buildah mount $(buildah from oci:layout:t)); stat -c '%n %a %u' * >$top/theirs.txt";

#[test]
fn a_hard_link_to_a_file_of_a_lower_layer_gives_its_metadata_to_all_names_of_the_file() {
    let lab = Lab::new();
    let lower = [("a", EntryType::Regular, "x", 1, 0o644), ("b", EntryType::Link, "a", 2, 0o640)];
    image(&lab, &[&lower, &[("c", EntryType::Link, "b", 3, 0o600)], &[file("d", "y")]]);
    let shell = "[ $(id -u) = 0 ] || exec buildah unshare bash -c \"$1\"; exec bash -c \"$1\"";
    lab.tool("bash", ["-c", shell, "-", LIST]);
    let theirs = fs::read_to_string(lab.path("theirs.txt")).unwrap();
    assert_eq!(theirs, "a 600 3\nb 600 3\nc 600 3\nd 644 0\n");
    lab.seatrial(["export", "layout", "-o", "ours.tar"]).ok();
    let listed = lab.tool("tar", ["--numeric-owner", "-tvf", "ours.tar"]);
    let names =
        ["-rw------- 3/0 1 a", "hrw------- 3/0 0 b link to a", "hrw------- 3/0 0 c link to a"];
    for name in names {
        let has_name = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            [&words[..3], &words[5..]].concat().join(" ") == name
        };
        assert!(listed.lines().any(has_name), "{name}: {listed}");
    }
    #[cfg(feature = "vm")]
    {
        let rule = |name| format!("[[file]]\npath = '/{name}'\nmode = '0600'\nuid = 3\n");
        lab.file("e.toml", ["a", "b", "c"].map(rule).concat());
        let check = ["check", "layout", "--no-vm", "--platform", "amd64", "--expect", "e.toml"];
        lab.seatrial(check).ok();
    }
}
