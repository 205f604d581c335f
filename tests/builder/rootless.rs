//! Images that Buildah makes for a user who is not root: in a user namespace, without mounts of
//! the host. They are read as GNU tar and umoci read them, and are bases as others are.

use std::collections::BTreeSet;
use std::fs;

use crate::lab::{Lab, members};
use crate::other_tools::{LOWER, assert_same};

/// Runs the script `$1` as a user with a range of IDs who is not root. For root, these are a user
/// and a range that only a mount namespace has.
const AS_USER: &str = r#"
    set -e
    [ "$(id -u)" = 0 ] || exec bash -c "$1"
    { cat /etc/passwd; echo sailor:x:12345:12345::/:/bin/sh; } >passwd
    { cat /etc/group; echo sailor:x:12345:; } >group
    echo sailor:200000:65536 >ranges
    chown -R 12345:12345 .
    exec unshare --mount bash -ec '
        mount --bind passwd /etc/passwd; mount --bind group /etc/group
        mount --bind ranges /etc/subuid; mount --bind ranges /etc/subgid
        exec setpriv --reuid=12345 --regid=12345 --clear-groups bash -c "$1"' - "$1"
"#;

/// Makes an image of one layer, with owners, a capability and a FIFO, and another one on it.
const BUILD: &str = r#"
    unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
    export HOME=$PWD/home XDG_RUNTIME_DIR=$PWD/run STORAGE_DRIVER=vfs
    set -e; umask 022; mkdir home run lower; (cd lower; LOWER)
    container=$(buildah from scratch); buildah copy --chown 5:7 $container lower /
    buildah unshare bash -ec 'cd $(buildah mount $1); setcap cap_chown+ep bin/app
        chown 0:65000 etc; mkfifo fifo' - $container
    buildah config --env A=1 --user 7 $container; buildah commit $container image:1
    buildah push image:1 docker-archive:one.tar:image:1
    container=$(buildah from localhost/image:1)
    buildah unshare bash -ec 'cd $(buildah mount $1); rm -r fifo etc/gone opaque
        mkdir opaque; echo new >opaque/new; rm lib/linked; mkdir lib/linked
        echo below >lib/linked/y' - $container
    buildah config --env B=2 $container; buildah commit $container image:2
    buildah push image:2 oci:layout:t; buildah push image:2 oci-archive:archive.tar:t
    buildah push image:2 docker-archive:docker.tar:image:2
"#;

fn built() -> Lab {
    let lab = Lab::new();
    lab.tool("bash", ["-c", AS_USER, "-", &BUILD.replace("LOWER", LOWER)]);
    lab
}

/// The members of a tar as GNU tar lists them: modes, owners, sizes, times, links, and the sizes of
/// extended attributes.
fn listed(lab: &Lab, tar: &str) -> BTreeSet<String> {
    let list = ["--numeric-owner", "--full-time", "--xattrs", "--xattrs-include=*", "-tvvf", tar];
    let text = lab.tool("tar", list);
    // An extended attribute has a line of its own after its member.
    text.replace("\n  x:", " x:").lines().map(str::to_owned).collect()
}

#[test]
fn images_by_buildah_without_root_are_those_that_gnu_tar_and_umoci_read() {
    let lab = built();
    lab.tool("bash", ["-c", "mkdir one; tar -xf one.tar -C one; mv one/*.tar layer.tar"]);
    lab.seatrial(["export", "one.tar", "-o", "ours.tar"]).ok();
    let theirs = listed(&lab, "layer.tar");
    let has = |end: &str| theirs.iter().any(|line| line.contains(end));
    assert!(has("0/65000") && has("5/7") && has("security.capability"), "{theirs:#?}");
    assert_eq!(listed(&lab, "ours.tar"), theirs);
    assert_same(&lab, "buildah without root");
    let exported = fs::read(lab.path("ours.tar")).unwrap();
    for image in ["archive.tar", "docker.tar"] {
        lab.seatrial(["export", image, "-o", "other.tar"]).ok();
        assert!(fs::read(lab.path("other.tar")).unwrap() == exported, "{image}");
    }
}

#[test]
fn images_by_buildah_without_root_are_bases_whose_layers_stay_the_same() {
    let lab = built();
    lab.file("root/etc/motd", "ahoy\n");
    let recipe = "name='x'\ntag='1'\nfrom_image='docker.tar'\ncontents=['root']\n";
    let image = lab.build(recipe);
    let base = members(&fs::read(lab.path("docker.tar")).unwrap());
    let layers = image.layer_files();
    assert_eq!(layers.len(), 3);
    for layer in &layers[..2] {
        assert!(base.iter().any(|member| member.content == *layer));
    }
    assert_eq!(image.env(), ["A=1", "B=2"]);
    // The base's directory keeps its owner.
    let top = image.layers();
    let etc = top[2].iter().find(|member| member.name == "etc/").unwrap();
    assert_eq!(etc.owner, (0, 65000));
}
