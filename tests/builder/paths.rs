//! Single paths, accounts and helpers; compared with setcap, getcap, getfattr and GNU tar.

use std::fs;

use proptest::prelude::*;

use crate::lab::{Built, Lab, Run, STORE};

fn build(lab: &Lab, rest: &str) -> Built {
    lab.build(&format!("name='x'\ntag='1'\narchitecture='amd64'\n{rest}"))
}

fn rejected(lab: &Lab, rest: &str) -> String {
    lab.rejected(&format!("name='x'\ntag='1'\n{rest}"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Builds a base image with a merged /usr and accounts.
fn base(lab: &Lab) {
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
fn unpack(lab: &Lab, built: &Built) {
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
    let message = rejected(
        &lab,
        &format!("{recipe}path=[{{path='/srv', remove=true}}, {{path='/srv/new', type='file'}}]\n"),
    );
    assert!(message.contains("an earlier entry removes /srv"), "{message}");
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
fn capabilities_and_attributes_are_as_setcap_and_setfattr_write_them() {
    let lab = Lab::new();
    for (index, text) in [
        "cap_net_bind_service=ep",
        "cap_net_raw,cap_net_admin=eip",
        "cap_chown=p",
        "all=ep",
        "cap_setuid=i",
        "=ep",
        "cap_bpf,cap_perfmon+ep",
        "cap_kill=p cap_kill+e",
        "all=ep cap_kill-ep",
    ]
    .iter()
    .enumerate()
    {
        let built = build(
            &lab,
            &format!(
                "[[path]]\npath='/bin/x'\ncontent='x'\ncapabilities='{text}'\n\
                 xattrs={{ 'user.a'='b c' }}\n"
            ),
        );
        if !is_root() {
            continue;
        }
        unpack(&lab, &built);
        let name = format!("own-{index}");
        lab.file(&name, "x");
        lab.tool("setcap", [*text, name.as_str()]);
        let value = |path: &str| {
            let all = lab.tool("getfattr", ["-d", "-m", "security", "-e", "hex", path]);
            all.lines().find(|line| line.starts_with("security.")).map(str::to_owned)
        };
        assert_eq!(value("out/bin/x"), value(&name), "{text}");
        assert!(lab.tool("getfattr", ["-d", "out/bin/x"]).contains("user.a=\"b c\""));
        fs::remove_dir_all(lab.path("out")).unwrap();
    }
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
        ("path='/x', capabilities='cap_chown', content=''", "says nothing of the sets"),
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
        ("path='/x', type='fil'", "unknown variant"),
    ] {
        let message = rejected(&lab, &format!("contents='tree'\npath=[{{{path}}}]\n"));
        assert!(message.contains(expected), "{path}: {message}");
    }
}

#[test]
fn accounts_are_added_to_those_of_the_base() {
    let lab = Lab::new();
    base(&lab);
    let built = build(
        &lab,
        r#"
from_image = "base.tar"
[[path]]
path = "/srv/app"
type = "directory"
owner = "app:www-data"
[accounts]
groups = [{ name = "data", gid = 2000 }]
users = [
  { name = "app", uid = 1000, home = "/srv/app", groups = ["data", "video"] },
  { name = "web", uid = 33, gid = 33, shell = "/bin/bash" },
]
"#,
    );
    let file = |name: &str| String::from_utf8(built.member(name).unwrap().content).unwrap();
    assert_eq!(
        file("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/home/web:/bin/bash\n\
         app:x:1000:1000::/srv/app:/bin/sh\n"
    );
    assert_eq!(
        file("etc/group"),
        "root:x:0:\nwww-data:x:33:\nvideo:x:44:root,app\ndata:x:2000:app\napp:x:1000:\n"
    );
    assert!(
        file("etc/shadow").ends_with("\napp:*:::::::\nweb:*:::::::\n"),
        "{}",
        file("etc/shadow")
    );
    let shadow = built.member("etc/shadow").unwrap();
    assert_eq!((shadow.mode, shadow.owner), (0o640, (7, 0)), "as in the base");
    assert_eq!(built.member("srv/app/").unwrap().owner, (1000, 33));
    // glibc's own reader agrees.
    lab.file("passwd", file("etc/passwd"));
    let awk = lab.tool("awk", ["-F:", "NF != 7", "passwd"]);
    assert_eq!(awk, "");
}

#[test]
fn an_image_without_accounts_gets_root_and_nobody() {
    let lab = Lab::new();
    let built = build(&lab, "[accounts]\nusers=[{ name='app', uid=1000 }]\n");
    let names = ["etc/", "etc/group", "etc/nsswitch.conf", "etc/passwd", "var/", "var/empty/"];
    assert_eq!(built.names(0), names);
    let passwd = String::from_utf8(built.member("etc/passwd").unwrap().content).unwrap();
    assert!(passwd.starts_with("root:x:0:0:root user:/var/empty:/bin/sh\nnobody:x:65534:65534:"));
    assert!(passwd.ends_with("app:x:1000:1000::/home/app:/bin/sh\n"), "{passwd}");
}

#[test]
fn accounts_of_a_root_file_system_are_found_in_folders_and_tars() {
    let lab = Lab::new();
    lab.file("tree/etc/passwd", "svc:x:77:88::/:/bin/sh\n");
    lab.file("tree/etc/group", "svc:x:88:\n");
    lab.file("other/file", "");
    lab.tool("tar", ["-C", "tree", "-czf", "tree.tar.gz", "."]);
    for contents in ["'tree'", "{tar='tree.tar.gz'}"] {
        let built = build(
            &lab,
            &format!(
                "contents=[{contents}, {{source='other', owner='svc'}}]\n\
                      [accounts]\nusers=[{{name='new', uid=5}}]\n"
            ),
        );
        assert_eq!(built.member("file").unwrap().owner, (77, 88), "{contents}");
        let passwd = built.member("etc/passwd").unwrap().content;
        assert_eq!(passwd, b"svc:x:77:88::/:/bin/sh\nnew:x:5:5::/home/new:/bin/sh\n", "{contents}");
    }
}

#[test]
fn contradicting_accounts_are_errors() {
    let lab = Lab::new();
    base(&lab);
    for (users, expected) in [
        ("{name='web', uid=34}", "the user \"web\" exists with the number 33"),
        ("{name='app', uid=33}", "the user \"app\" has the number 33, which \"web\" has already"),
        ("{name='a:b', uid=1}", "\"a:b\" cannot be the name of a user or group"),
        ("{name='app', uid=1, groups='nope'}", "there is no group \"nope\" for the user \"app\""),
        ("{name='app', uid=1, home='x'}", "home \"x\" of \"app\" is not an absolute path"),
        ("{name='app'}", "missing key \"uid\""),
    ] {
        let message =
            rejected(&lab, &format!("from_image='base.tar'\naccounts={{users=[{users}]}}\n"));
        assert!(message.contains(expected), "{users}: {message}");
    }
}

#[test]
fn helpers_give_certificates_a_shell_env_and_tmp() {
    let lab = Lab::new();
    lab.file("tree/bin/busybox", "");
    lab.file("ca.pem", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
    let recipe =
        "contents='tree'\nhelpers=['ca-certificates=ca.pem', 'bin-sh', 'usr-bin-env', 'tmp']\n";
    let built = build(&lab, recipe);
    let of = |name: &str| built.member(name).unwrap();
    assert_eq!(of("bin/sh").link, "/bin/busybox");
    assert_eq!(of("usr/bin/env").link, "/bin/busybox");
    assert_eq!((of("tmp/").mode, of("var/tmp/").mode), (0o1777, 0o1777));
    assert!(of("etc/ssl/certs/ca-certificates.crt").content.starts_with(b"-----BEGIN"));
    for link in
        ["etc/ssl/certs/ca-bundle.crt", "etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/cert.pem"]
    {
        assert_eq!(of(link).link, "/etc/ssl/certs/ca-certificates.crt");
    }
    lab.file("other/bin/sh", "own");
    let built = build(&lab, "contents=['tree', 'other']\nhelpers=['bin-sh']\n");
    assert_eq!(built.member("bin/sh").unwrap().content, b"own");
    for (helpers, expected) in [
        ("'bin-sh'", "the image has no program for /bin/sh"),
        ("'bin-hs'", "unknown helper \"bin-hs\"; did you mean \"bin-sh\"?"),
        ("'ca-certificates=tree/bin/busybox'", "it has no certificates in PEM format"),
        ("'bin-sh=busybox'", "is not an absolute path in the image"),
    ] {
        let message = rejected(&lab, &format!("helpers=[{helpers}]\n"));
        assert!(message.contains(expected), "{helpers}: {message}");
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

#[test]
fn the_layer_cache_covers_changes_of_paths_and_attributes() {
    let lab = Lab::new();
    let recipe = |rest: &str| {
        let recipe = format!("path=[{{path='/file', content='x', {rest}}}]\n");
        let fresh = build(&lab, &recipe).bytes;
        assert!(build(&lab, &recipe).bytes == fresh, "{rest}");
        fresh
    };
    let keys = ["", "owner=1", "mode='0600'", "xattrs={'user.a'='1'}", "xattrs={'user.a'='2'}"];
    let mut images = keys.map(recipe).to_vec();
    assert_eq!(lab.cached_files("layers").len(), keys.len());
    images.sort();
    images.dedup();
    assert_eq!(images.len(), keys.len());
}

#[test]
fn extended_attributes_of_a_base_directory_stay_when_a_layer_repeats_it() {
    let lab = Lab::new();
    build(&lab, "[[path]]\npath='/srv'\ntype='directory'\nxattrs={'user.base'='1'}\n");
    fs::rename(lab.path("out.tar"), lab.path("base.tar")).unwrap();
    lab.file("tree/srv/new", "");
    let built = build(&lab, "from_image='base.tar'\ncontents='tree'\n");
    lab.file("layer.tar", &built.layer_files()[1]);
    let listed = Run::of({
        let mut command = lab.command("tar");
        command.args(["--xattrs", "-tvvf", "layer.tar"]);
        command
    });
    let listed = listed.ok();
    assert!(listed.contains("user.base"), "{listed}");
}

/// A tree that paths and contents make together.
#[derive(Clone, Debug)]
struct Made {
    path: String,
    kind: &'static str,
    owner: u32,
    recursive: bool,
}

fn made() -> impl Strategy<Value = Vec<Made>> {
    let part = proptest::sample::select(vec!["a", "b", "a.b", "c-d"]);
    let path = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let kind = proptest::sample::select(vec!["directory", "file", "change"]);
    let one = (path, kind, 1_u32..9, any::<bool>());
    let one = one.prop_map(|(path, kind, owner, recursive)| {
        let recursive = recursive && kind != "file";
        Made { path, kind, owner, recursive }
    });
    proptest::collection::vec(one, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A model that applies the entries one by one to a map gives the same owners.
    #[test]
    fn owners_are_those_of_a_model_that_applies_entries_in_order(entries in made()) {
        use std::collections::BTreeMap;
        let lab = Lab::new();
        lab.file("tree/a/b/c-d", "");
        lab.file("tree/a.b/x", "");
        // Kind and owner by path; contents are there first, then everything that is made.
        let mut model: BTreeMap<String, (bool, u32)> = BTreeMap::new();
        for (path, is_directory) in
            [("a", true), ("a/b", true), ("a/b/c-d", false), ("a.b", true), ("a.b/x", false)]
        {
            model.insert(path.to_owned(), (is_directory, 0));
        }
        let mut valid = true;
        for entry in &entries {
            let above = |path: &str| {
                let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
                ends.into_iter().map(|end| path[..end].to_owned()).collect::<Vec<_>>()
            };
            match entry.kind {
                // Of what is there only at the end, too.
                "change" => valid &= model.contains_key(&entry.path),
                kind => {
                    let is_directory = kind == "directory";
                    for parent in above(&entry.path) {
                        valid &= model.entry(parent).or_insert((true, 0)).0;
                    }
                    let found = *model.entry(entry.path.clone()).or_insert((is_directory, 0));
                    valid &= found.0 == is_directory;
                }
            }
        }
        prop_assume!(valid);
        for entry in &entries {
            for (path, (_, owner)) in &mut model {
                let rest = path.strip_prefix(&entry.path);
                let below = rest.is_some_and(|rest| rest.starts_with('/'));
                if *path == entry.path || entry.recursive && below {
                    *owner = entry.owner;
                }
            }
        }
        let mut recipe = String::from("contents='tree'\n");
        for Made { path, kind, owner, recursive } in &entries {
            let kind = if *kind == "change" { String::new() } else { format!("type='{kind}'\n") };
            recipe += &format!("[[path]]\npath='/{path}'\n{kind}owner={owner}\n");
            recipe += &format!("recursive={recursive}\n");
        }
        let built = build(&lab, &recipe);
        let mut found = BTreeMap::new();
        for member in &built.layers()[0] {
            let path = member.name.trim_end_matches('/').to_owned();
            found.insert(path, (member.kind == '5', member.owner.0 as u32));
        }
        prop_assert_eq!(found, model, "{}", recipe);
    }
}

#[test]
fn the_example_has_the_owners_modes_and_accounts_that_it_describes() {
    if !std::path::Path::new("/bin/busybox").exists() {
        return;
    }
    let lab = Lab::new();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/service.toml");
    lab.seatrial(["build", recipe, "-o", "out.tar", "--json"]).ok();
    let bytes = fs::read(lab.path("out.tar")).unwrap();
    let built = Built { bytes, summary: serde_json::Value::Null };
    let of = |name: &str| {
        let member = built.member(name).unwrap();
        (member.mode, member.owner)
    };
    for file in ["srv/service/serve", "srv/service/www/index.html"] {
        assert_eq!(of(file).1, (1000, 1000), "{file}");
    }
    assert_eq!(of("var/lib/service/"), (0o750, (1000, 1000)));
    assert_eq!(of("tmp/"), (0o1777, (0, 0)));
    assert_eq!(built.member("bin/sh").unwrap().link, "/bin/busybox");
    assert!(built.member("srv/service/NOTES.md").is_none());
    let passwd = String::from_utf8(built.member("etc/passwd").unwrap().content).unwrap();
    assert!(passwd.contains("service:x:1000:1000::/var/lib/service:/bin/sh"), "{passwd}");
}
