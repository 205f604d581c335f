//! Names of one file whose entries have different metadata, as buildah unpacks them: with the code
//! that Docker and Podman have, too. GNU tar and umoci use the metadata of the first entry.

use std::fs;

use serde_json::{Value, json};
use tar::EntryType;

use crate::content_tables::build;
use crate::forge::{OCI_CONFIG, OCI_LAYER, OciFolder, config, with};
use crate::lab::Lab;
use crate::lint::rules_of_layers;

/// The owner, mode and time of an entry, and its extended attributes.
type Metadata = (u64, u32, u64, &'static [(&'static str, &'static [u8])]);

/// A file with three names, a symlink with two, and a file that replaces one with two names.
const ENTRIES: [(&str, EntryType, &str, Metadata); 8] = [
    ("a", EntryType::Regular, "", (1, 0o644, 100, &[("user.x", b"1"), ("user.y", b"1")])),
    ("b", EntryType::Link, "a", (2, 0o4755, 200, &[])),
    ("c", EntryType::Link, "b", (3, 0o600, 300, &[("user.y", b"3")])),
    ("s", EntryType::Symlink, "a", (4, 0o777, 400, &[])),
    ("t", EntryType::Link, "s", (5, 0o700, 400, &[])),
    ("first", EntryType::Regular, "", (6, 0o640, 600, &[])),
    ("second", EntryType::Link, "first", (7, 0o604, 700, &[])),
    ("third", EntryType::Regular, "", (8, 0o400, 800, &[])),
];

/// The tar of a layer with these entries.
fn layer(entries: &[(&str, EntryType, &str, Metadata)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, kind, link, (owner, mode, time, xattrs)) in entries {
        let names: Vec<String> =
            xattrs.iter().map(|(name, _)| format!("SCHILY.xattr.{name}")).collect();
        let values = xattrs.iter().map(|(_, value)| *value);
        tar.append_pax_extensions(names.iter().map(String::as_str).zip(values)).unwrap();
        let content: &[u8] = if *kind == EntryType::Regular { path.as_bytes() } else { b"" };
        let mut header = tar::Header::new_ustar();
        header.set_path(path).unwrap();
        header.set_entry_type(*kind);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        header.set_size(content.len() as u64);
        header.set_uid(*owner);
        header.set_gid(owner + 10);
        header.set_mode(*mode);
        header.set_mtime(*time);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Writes an OCI layout `name` of an image `t` with one layer.
fn image(lab: &Lab, name: &str, layer: &[u8]) {
    let oci = OciFolder::new(lab, name);
    let blob = oci.blob(layer, OCI_LAYER);
    let manifest = oci.manifest(oci.document(OCI_CONFIG, &config(&[layer])), &[blob]);
    let name = json!({ "org.opencontainers.image.ref.name": "t" });
    oci.index(&[with(manifest, json!({ "annotations": name }))]);
}

/// Lists the files that buildah unpacks, and those of an exported tar.
const LIST: &str = "
    set -e; top=$PWD
    buildah() { command buildah --root $top/root --runroot $top/run --storage-driver vfs \"$@\"; }
    list() {
        for name in *; do
            stat -c '%n %A %u:%g %Y %s' $name; [ -h $name ] || getfattr -d $name
        done
    }
    buildah pull oci:layout:t
    (cd $(buildah mount $(buildah from oci:layout:t)) && list >$top/theirs.txt)
    mkdir ours; tar --xattrs --xattrs-include='*' -xpf ours.tar -C ours
    (cd ours && list >$top/ours.txt)";

#[test]
fn all_names_of_a_file_have_the_metadata_of_the_last_entry_as_engines_unpack_them() {
    let lab = Lab::new();
    image(&lab, "layout", &layer(&ENTRIES));
    lab.seatrial(["export", "layout", "-o", "ours.tar"]).ok();
    let shell = "[ $(id -u) = 0 ] || exec buildah unshare bash -c \"$1\"; exec bash -c \"$1\"";
    lab.tool("bash", ["-c", shell, "-", LIST]);
    let read = |name: &str| fs::read_to_string(lab.path(name)).unwrap();
    let theirs = read("theirs.txt");
    assert!(theirs.contains("a -rw------- 3:13 300 1\n"), "{theirs}");
    assert!(theirs.contains("user.x=\"1\"\nuser.y=\"3\"\n"), "{theirs}");
    assert!(theirs.contains("first -rw----r-- 7:17 700 5\n"), "{theirs}");
    assert_eq!(read("ours.txt"), theirs);

    #[cfg(feature = "vm")]
    {
        let expected = "
            [[file]]\npath = '/a'\nmode = '0600'\nuid = 3\ngid = 13\ncontent = { equals = 'a' }
            [[file]]\npath = '/b'\nmode = '0600'\nuid = 3\ngid = 13\ncontent = { equals = 'a' }
            [[file]]\npath = '/c'\nmode = '0600'\nuid = 3\ngid = 13\ncontent = { equals = 'a' }
            [[file]]\npath = '/s'\ntype = 'symlink'\nuid = 5\ntarget = 'a'
            [[file]]\npath = '/t'\ntype = 'symlink'\nuid = 5\ntarget = 'a'
            [[file]]\npath = '/first'\nmode = '0604'\nuid = 7\ncontent = { equals = 'first' }
            [[file]]\npath = '/second'\nmode = '0604'\nuid = 7\ncontent = { equals = 'first' }
            [[file]]\npath = '/third'\nmode = '0400'\nuid = 8\ncontent = { equals = 'third' }
        ";
        lab.file("expect.toml", expected);
        let check = ["check", "layout", "--expect", "expect.toml", "--no-vm"];
        lab.seatrial(check.iter().chain(&["--platform", "amd64"])).ok();
    }
}

#[test]
fn all_names_of_a_file_in_a_tar_of_contents_have_the_metadata_of_the_first_entry_as_in_gnu_tar() {
    let lab = Lab::new();
    lab.file("in.tar", layer(&ENTRIES[..3]));
    let built = build(&lab, "contents=[{tar='in.tar'}]\n");
    let owners = ["a", "b", "c"].map(|name| built.member(name).unwrap().owner);
    assert_eq!(owners, [(1, 11); 3]);
    lab.file("layer.tar", built.layer_files().remove(0));
    let script = "for tar in in layer; do
            mkdir $tar; tar -xpf $tar.tar -C $tar
            (cd $tar; stat -c '%n %a %Y' a b c) >$tar.list
        done
        diff in.list layer.list; cat in.list";
    assert_eq!(lab.tool("bash", ["-ec", script]), "a 644 100\nb 644 100\nc 644 100\n");
}

#[test]
fn a_file_whose_last_name_gives_it_the_same_metadata_is_no_difference() {
    let lab = Lab::new();
    let mut same = ENTRIES;
    let of_file: Metadata = (3, 0o600, 300, &[("user.x", b"1"), ("user.y", b"3")]);
    same[..3].iter_mut().for_each(|(.., metadata)| *metadata = of_file);
    image(&lab, "layout", &layer(&ENTRIES));
    image(&lab, "same", &layer(&same));
    let mut other = ENTRIES;
    other[2].3 = (3, 0o644, 300, &[("user.y", b"3")]);
    image(&lab, "other", &layer(&other));
    let files = |second: &str| -> Value {
        let output = lab.seatrial(["diff", "layout", second, "--json"]).stdout();
        let mut diff: Value = serde_json::from_str(&output).unwrap();
        diff["files"].take()
    };
    assert_eq!(files("same"), json!({ "added": [], "removed": [], "changed": [] }));
    let changed = ["/a", "/b", "/c"].map(|path| json!({ "path": path, "differences": ["mode"] }));
    assert_eq!(files("other")["changed"], json!(changed));
}

#[test]
fn findings_are_about_the_metadata_that_engines_give_to_all_names_of_a_file() {
    let lab = Lab::new();
    const CAPABLE: &[(&str, &[u8])] =
        &[("security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0")];
    let rules_of = |first: Metadata, second: Metadata| {
        let entries = [("a", EntryType::Regular, "", first), ("b", EntryType::Link, "a", second)];
        rules_of_layers(&lab, &[layer(&entries)])
    };
    let plain: Metadata = (0, 0o644, 0, &[]);
    let cases: [(Metadata, &str); 3] = [
        ((0, 0o4755, 0, &[]), "setuid-file"),
        ((0, 0o666, 0, &[]), "world-writable"),
        ((0, 0o644, 0, CAPABLE), "file-capabilities"),
    ];
    for (metadata, rule) in cases {
        assert_eq!(rules_of(plain, metadata), [rule]);
        assert_eq!(rules_of(metadata, plain), [""; 0], "{rule}");
    }
}
