//! Single paths, accounts and helpers; compared with setcap, getcap, getfattr and GNU tar.

use std::fs;

use crate::lab::{Built, Lab, STORE, is_root};

pub fn build(lab: &Lab, rest: &str) -> Built {
    lab.build(&format!("name='x'\ntag='1'\narchitecture='amd64'\n{rest}"))
}

pub fn rejected(lab: &Lab, rest: &str) -> String {
    lab.rejected(&format!("name='x'\ntag='1'\n{rest}"))
}

/// Builds a base image with a merged /usr and accounts.
pub fn base(lab: &Lab) {
    lab.file("base/usr/bin/ping", "ping");
    lab.mode("base/usr/bin/ping", 0o755);
    lab.link("base/bin", "usr/bin");
    lab.file(
        "base/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:/bin/false\n",
    );
    lab.file("base/etc/group", "root:x:0:\nwww-data:x:33:\nvideo:x:44:root\n");
    lab.file("base/etc/shadow", "root:*:19000:0:99999:7:::\n");
    lab.mode("base/etc/shadow", 0o640);
    lab.file("base/srv/old/file", "old");
    lab.mode("base/srv", 0o711);
    lab.build_with(
        "name='base'\ntag='1'\narchitecture='amd64'\ncontents='base'\nuid=7\n",
        "base.tar",
        &[],
    );
}

/// Unpacks all layers with GNU tar into the folder `out`; whiteouts stay files.
pub fn unpack(lab: &Lab, built: &Built) {
    fs::create_dir_all(lab.path("out")).unwrap();
    for layer in built.layer_files() {
        lab.file("layer.tar", layer);
        lab.tool("tar", ["--xattrs", "--xattrs-include=*", "-C", "out", "-xpf", "layer.tar"]);
    }
}

#[test]
fn paths_of_every_type_are_made() {
    let lab = Lab::new();
    lab.file("script", "#!/bin/sh\n");
    lab.mode("script", 0o750);
    let built = build(
        &lab,
        r#"
[[path]]
path = "/var/lib/app"
type = "directory"
owner = "1000:1001"
mode = "0700"
[[path]]
path = "/etc/motd"
content = "hello\n"
[[path]]
path = "/bin/run"
source = "script"
[[path]]
path = "/bin/again"
type = "hardlink"
target = "/bin/run"
[[path]]
path = "/bin/sh"
type = "symlink"
target = "busybox"
owner = 5
[[path]]
path = "/run/pipe"
type = "fifo"
mode = "u=rw,go="
[[path]]
path = "/dev/null"
type = "char"
major = 1
minor = 3
mode = "a=rw"
[[path]]
path = "/dev/loop0"
type = "block"
major = 7
minor = 0
[[path]]
path = "/empty"
type = "file"
"#,
    );
    let names = [
        "bin/",
        "bin/again",
        "bin/run",
        "bin/sh",
        "dev/",
        "dev/loop0",
        "dev/null",
        "empty",
        "etc/",
        "etc/motd",
        "run/",
        "run/pipe",
        "var/",
        "var/lib/",
        "var/lib/app/",
    ];
    assert_eq!(built.names(0), names);
    let of = |name: &str| built.member(name).unwrap();
    assert_eq!((of("var/lib/app/").mode, of("var/lib/app/").owner), (0o700, (1000, 1001)));
    assert_eq!((of("var/lib/").mode, of("var/lib/").owner), (0o755, (0, 0)));
    assert_eq!((of("etc/motd").mode, &of("etc/motd").content[..]), (0o644, &b"hello\n"[..]));
    // The first name in the layer has the content.
    assert_eq!((of("bin/again").kind, &of("bin/again").content[..]), ('0', &b"#!/bin/sh\n"[..]));
    assert_eq!((of("bin/run").kind, of("bin/run").link.as_str()), ('1', "bin/again"));
    assert_eq!((of("bin/run").mode, of("bin/again").mode), (0o750, 0o750));
    assert_eq!((of("bin/sh").link.as_str(), of("bin/sh").owner), ("busybox", (5, 5)));
    assert_eq!((of("run/pipe").kind, of("run/pipe").mode), ('6', 0o600));
    assert_eq!((of("dev/null").kind, of("dev/null").mode), ('3', 0o666));
    assert_eq!((of("dev/loop0").kind, of("empty").content.len()), ('4', 0));
    if is_root() {
        unpack(&lab, &built);
        let stat = lab.tool("stat", ["-c", "%n %a %u:%g %h %F", "out/bin/run", "out/var/lib/app"]);
        assert_eq!(
            stat,
            "out/bin/run 750 0:0 2 regular file\nout/var/lib/app 700 1000:1001 2 directory\n"
        );
    }
}

#[test]
fn paths_change_what_contents_and_the_base_have() {
    let lab = Lab::new();
    base(&lab);
    lab.file("tree/srv/app/data/file", "data");
    lab.file("tree/srv/app/run", "run");
    lab.mode("tree/srv/app/run", 0o700);
    let built = build(
        &lab,
        r#"
from_image = "base.tar"
contents = "tree"
[[path]]
path = "/srv/app"
owner = "1000:1000"
mode = "u=rwX,go=rX"
recursive = true
[[path]]
path = "/srv/app/run"
owner = "web"
[[path]]
path = "/srv"
mode = "0750"
[[path]]
path = "/bin/ping"
mode = "u+s"
"#,
    );
    let of = |name: &str| {
        let member = built.member(name).unwrap();
        (member.mode, member.owner)
    };
    assert_eq!(of("srv/app/"), (0o755, (1000, 1000)));
    assert_eq!(of("srv/app/data/file").1, (1000, 1000));
    assert_eq!(of("srv/app/run"), (0o755, (33, 33)));
    assert_eq!(of("srv/"), (0o750, (7, 0)), "the rest is as in the base");
    assert_eq!(of("usr/bin/ping"), (0o4755, (7, 0)), "a copy of the base's file");
    let layers = built.layers();
    let copy = layers[1].iter().find(|member| member.name == "usr/bin/ping").unwrap();
    assert_eq!(copy.content, b"ping");
    assert!(!layers[1].iter().any(|member| member.name.starts_with("srv/old")));
}

#[test]
fn removed_paths_are_whiteouts_over_the_base_and_missing_from_contents() {
    let lab = Lab::new();
    base(&lab);
    lab.file("tree/doc/a", "");
    lab.file("tree/keep", "");
    let recipe = "from_image='base.tar'\ncontents='tree'\n";
    let built = build(
        &lab,
        &format!(
            "{recipe}path=[{{path='/srv/old', remove=true}}, {{path='/bin/ping', remove=true}},
                  {{path='/doc', remove=true}}]\n"
        ),
    );
    assert_eq!(
        built.names(1),
        ["keep", "srv/", "srv/.wh.old", "usr/", "usr/bin/", "usr/bin/.wh.ping"]
    );
    // The reader of base images, which is compared with umoci, sees them gone.
    lab.file(
        "second.toml",
        "name='y'\nfrom_image='out.tar'\n[[path]]\npath='/srv/old/file'\nmode='0600'\n",
    );
    let message = lab.seatrial(["build", "second.toml", "-o", "y.tar"]).rejected(&lab, "y.tar");
    assert!(message.contains("path /srv/old/file: there is no such path"), "{message}");
    let message = rejected(&lab, "path=[{path='/nothing', remove=true}]\n");
    assert!(message.contains("path /nothing: there is no such path in the contents"), "{message}");
}

#[test]
fn a_made_file_replaces_that_of_contents_but_not_a_directory() {
    let lab = Lab::new();
    lab.file("tree/etc/conf", "old");
    lab.file("tree/etc/app/x", "");
    let built = build(&lab, "contents='tree'\npath=[{path='/etc/conf', content='new'}]\n");
    assert_eq!(built.member("etc/conf").unwrap().content, b"new");
    let message = rejected(&lab, "contents='tree'\npath=[{path='/etc/app', content='new'}]\n");
    assert!(message.contains("conflict at /etc/app: a directory in"), "{message}");
    let message = rejected(&lab, "contents='tree'\npath=[{path='/etc/conf/x', content='new'}]\n");
    assert!(message.contains("conflict at /etc/conf: a file in"), "{message}");
}

#[test]
fn mistakes_in_paths_are_errors_that_name_the_path() {
    let lab = Lab::new();
    lab.file("tree/file", "");
    lab.link("tree/link", "file");
    for (path, expected) in [
        (
            "path='/x', capabilities='cap_net_bnd_service=ep', content=''",
            "did you mean \"cap_net_bind_service\"?",
        ),
        ("path='/x', capabilities='cap_chown', content=''", "names no set, such as =ep"),
        (
            "path='/x', capabilities=['cap_chown=p', 'cap_kill=ep'], content=''",
            "effective (\"e\") all together",
        ),
        (
            "path='/x', type='directory', capabilities='cap_chown=ep'",
            "it is a directory in the image, which cannot have capabilities",
        ),
        ("path='/link', xattrs={'user.a'='1'}", "it is a symlink in the image"),
        (
            "path='/x', content='', xattrs={'comment'='1'}",
            "\"comment\" is not the name of an attribute",
        ),
        ("path='/x', content='', owner='nobody-knows'", "there is no user \"nobody-knows\""),
        ("path='/x', content='', owner='0:nobody-knows'", "there is no group \"nobody-knows\""),
        ("path='/../x', content=''", "\"/../x\" contains \"..\""),
        ("path='/', type='directory'", "is the root of the image"),
        ("path='/x', type='symlink'", "a link needs a target"),
        (
            "path='/x', type='hardlink', target='/absent'",
            "/x is a hard link to /absent, which is not a file",
        ),
        ("path='/x', type='char'", "a device needs major and minor"),
        ("path='/x', content='a', source='b'", "it has both content and source"),
        ("path='/x', source='absent'", "failed to read"),
        ("path='/x', source='tree'", "it is a directory, but a file is needed"),
        ("path='/x'", "it has nothing to do"),
        ("path='/x', owner=1", "there is no such path in the contents or the base image to change"),
        ("path='/x', remove=true, owner=1", "excludes all other keys"),
        ("path='/.wh.x', content=''", "mean a removal in a layer"),
        ("path='/x', type='fil'", "type: unknown value \"fil\"; did you mean \"file\"?"),
    ] {
        let message = rejected(&lab, &format!("contents='tree'\npath=[{{{path}}}]\n"));
        assert!(message.contains(expected), "{path}: {message}");
    }
}

#[test]
fn a_single_layer_of_store_paths_with_a_path_has_a_tag_of_its_own() {
    let lab = Lab::with_store();
    let tag = |rest: &str| {
        lab.build(&format!(
            "name='x'\nlayering='single'\ncontents='/nix/store/c-libc'\n{rest}{STORE}"
        ))
        .tag()
    };
    let plain = tag("");
    let with_path = tag("path=[{path='/x', content='1'}]\n");
    assert_ne!(plain, with_path);
    assert_ne!(with_path, tag("path=[{path='/x', content='2'}]\n"));
    assert_eq!(with_path, tag("path=[{path='/x', content='1'}]\n"));
}
