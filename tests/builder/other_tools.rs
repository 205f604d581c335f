//! Layers made by GNU tar, bsdtar, umoci and buildah, in several layers on each other: the file
//! system that is exported is the one that umoci unpacks, and static checks find the same files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::forge::{OCI_CONFIG, OCI_LAYER, OciFolder, config, with};
use crate::lab::Lab;
use serde_json::json;

/// The files of the lowest layer, as commands of a shell.
pub const LOWER: &str = "
    mkdir -p bin etc/app/sub lib/real opaque/old usr/bin; echo app >bin/app; ln bin/app bin/hard
    echo conf >etc/app/conf; ln -s conf etc/app/link; ln -s real lib/linked; echo in >lib/real/x
    echo gone >etc/gone; echo hidden >opaque/old/x; echo hidden >opaque/y
    truncate -s 200K sparse; printf end >>sparse; truncate -s 300K sparse
    mkdir -p $(printf 'long%.0s' {1..40})/$(printf 'name%.0s' {1..40}); chmod 4755 bin/app";
/// The files of the upper layer: whiteouts, a file below a symlinked directory of the lower layer
/// that is a directory now, and a replaced file.
const UPPER: &str = "
    mkdir -p etc opaque lib/linked bin; touch etc/.wh.gone opaque/.wh..wh..opq; echo new >opaque/new
    echo below >lib/linked/y; echo other >bin/hard; ln bin/hard bin/harder";

/// Commands that pack the folder `$1` into the tar `$2`.
const TOOLS: [(&str, &str); 5] = [
    ("GNU tar", "tar --format=gnu -cf $2 -C $1 ."),
    ("GNU tar, PAX, sparse", "tar --format=posix --sparse --xattrs -cf $2 -C $1 ."),
    (
        "GNU tar, a path twice and empty PAX values",
        "tar --format=posix --pax-option=comment:=,SCHILY.acl.access:= -cf $2 -C $1 . && \
         tar --format=posix -rf $2 -C $1 ./bin",
    ),
    ("bsdtar", "bsdtar --format=gnutar -cf $2 -C $1 ."),
    ("bsdtar, PAX", "bsdtar --format=pax -cf $2 -C $1 ."),
];

type Files = BTreeMap<String, (u32, String, u64)>;

/// The files below `folder`: type and mode, content or target, number of links.
fn files(folder: &Path) -> Files {
    fn walk(folder: &Path, prefix: &str, found: &mut Files) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            let metadata = entry.path().symlink_metadata().unwrap();
            let content = if metadata.is_dir() {
                walk(&entry.path(), &path, found);
                String::new()
            } else if metadata.is_symlink() {
                fs::read_link(entry.path()).unwrap().to_string_lossy().into_owned()
            } else {
                fs::read_to_string(entry.path()).unwrap()
            };
            let links = if metadata.is_file() { metadata.nlink() } else { 1 };
            found.insert(path, (metadata.mode(), content, links));
        }
    }
    let mut found = Files::new();
    walk(folder, "", &mut found);
    found
}

/// Compares the exported file system of the image in `layout` with what umoci unpacks.
pub fn assert_same(lab: &Lab, tool: &str) {
    let export = [
        "set -e; umask 022; mkdir ours",
        "\"$SEATRIAL\" export layout -o ours.tar",
        "tar -xpf ours.tar -C ours",
        "umoci raw unpack --rootless --image layout:t theirs",
    ];
    let mut shell = lab.command("bash");
    shell.args(["-c", &export.join("; ")]).env("SEATRIAL", env!("CARGO_BIN_EXE_seatrial"));
    crate::lab::Run::of(shell).ok();
    let (ours, theirs) = (files(&lab.path("ours")), files(&lab.path("theirs")));
    assert!(theirs.len() > 10, "{tool}: {theirs:?}");
    assert_eq!(ours, theirs, "{tool}");
}

#[test]
fn file_systems_of_layers_by_other_tools_are_those_that_umoci_unpacks() {
    for (tool, pack) in TOOLS {
        let lab = Lab::new();
        let script = format!(
            "set -e; umask 022; pack() {{ {pack}; }}
             mkdir lower upper; (cd lower; {LOWER}); (cd upper; {UPPER})
             pack lower lower.tar; pack upper upper.tar"
        );
        lab.tool("bash", ["-c", &script]);
        let layers = ["lower.tar", "upper.tar"].map(|name| fs::read(lab.path(name)).unwrap());
        let oci = OciFolder::new(&lab, "layout");
        let blobs = layers.each_ref().map(|layer| oci.blob(layer, OCI_LAYER));
        let config = config(&[&layers[0], &layers[1]]);
        let manifest = oci.manifest(oci.document(OCI_CONFIG, &config), &blobs);
        let name = json!({ "org.opencontainers.image.ref.name": "t" });
        oci.index(&[with(manifest, json!({ "annotations": name }))]);
        assert_same(&lab, tool);
        #[cfg(feature = "vm")]
        {
            let expected = "
                [[file]]\npath = '/bin/app'\nmode = '4755'\ncontent = { equals = \"app\\n\" }
                [[file]]\npath = '/bin/harder'\ncontent = { equals = \"other\\n\" }
                [[file]]\npath = '/etc/gone'\nexists = false
                [[file]]\npath = '/opaque/y'\nexists = false
                [[file]]\npath = '/opaque/new'\ntype = 'file'
                [[file]]\npath = '/lib/linked'\ntype = 'directory'
                [[file]]\npath = '/lib/linked/y'\ntype = 'file'
                [[file]]\npath = '/sparse'\nsize = 307200
            ";
            lab.file("expect.toml", expected);
            let check = ["check", "layout", "--expect", "expect.toml", "--no-vm"];
            lab.seatrial(check.iter().chain(&["--platform", "amd64"])).ok();
        }
    }
}

#[test]
fn file_systems_of_images_by_umoci_are_those_that_it_unpacks() {
    let lab = Lab::new();
    let script = format!(
        "set -e; umask 022; mkdir lower; (cd lower; {LOWER})
         umoci init --layout layout; umoci new --image layout:t
         umoci insert --rootless --image layout:t lower /
         umoci insert --rootless --image layout:t --whiteout /etc/gone
         umoci insert --rootless --image layout:t --opaque lower/lib /opaque
         umoci unpack --rootless --image layout:t bundle
         ln bundle/rootfs/lib/real/x bundle/rootfs/lib/real/hard; rm -r bundle/rootfs/etc/app
         umoci repack --image layout:t bundle; rm -r bundle"
    );
    lab.tool("bash", ["-c", &script]);
    assert_same(&lab, "umoci");
}

/// Makes an image of two layers with buildah, of the folder `lower` and of changes to it, and
/// writes it in every format that buildah has.
const BUILDAH: &str = "
    set -e; umask 022; mkdir lower; (cd lower; LOWER); setcap cap_chown+ep lower/bin/app; top=$PWD
    buildah() { command buildah --root $top/root --runroot $top/run --storage-driver vfs \"$@\"; }
    container=$(buildah from scratch); cp -a lower/. $(buildah mount $container)
    buildah umount $container; buildah config --env A=1 --user 7 --label l=x $container
    buildah commit $container image:1; container=$(buildah from localhost/image:1)
    cd $(buildah mount $container); rm etc/gone; rm -r opaque; mkdir opaque; echo new >opaque/new
    rm lib/linked; mkdir lib/linked; echo below >lib/linked/y; echo other >bin/hard; cd - >&2
    buildah umount $container; buildah config --env B=2 $container
    buildah commit $container image:2
    buildah push image:2 oci:layout:t; buildah push image:2 oci-archive:archive.tar:t
    buildah push image:2 docker-archive:docker.tar:image:2";

#[test]
fn images_by_buildah_are_the_same_in_all_its_formats_and_as_umoci_unpacks_them() {
    let lab = Lab::new();
    let script = BUILDAH.replace("LOWER", LOWER);
    // Without root, buildah needs a namespace in which it is root.
    let shell = "[ $(id -u) = 0 ] || exec buildah unshare bash -c \"$1\"; exec bash -c \"$1\"";
    lab.tool("bash", ["-c", shell, "-", &script]);
    assert_same(&lab, "buildah");
    let exported = fs::read(lab.path("ours.tar")).unwrap();
    for image in ["archive.tar", "docker.tar"] {
        lab.seatrial(["export", image, "-o", "other.tar"]).ok();
        assert!(fs::read(lab.path("other.tar")).unwrap() == exported, "{image}");
        let summary = lab.seatrial(["inspect", image, "--json"]).ok();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["env"], json!(["A=1", "B=2"]), "{image}");
        assert_eq!(summary["config"]["User"], "7", "{image}");
        assert_eq!(summary["layers"].as_array().unwrap().len(), 2, "{image}");
    }
}
