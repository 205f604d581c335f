//! Users and groups of an image, and files that programs expect.

use std::fs;
use std::path::Path;

use crate::lab::{Built, Lab, Run};
use crate::paths::{base, build, rejected};

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
fn accounts_are_added_to_the_file_that_is_in_the_image_wherever_it_comes_from() {
    let lab = Lab::new();
    lab.file("tree/etc/passwd", "svc:x:77:88::/:/bin/sh\n");
    lab.file("late/etc/passwd", "late:x:7:8::/:/bin/sh\n");
    lab.mode("tree/etc/passwd", 0o640);
    lab.tool("tar", ["-C", "tree/etc", "-cf", "etc.tar", "passwd"]);
    for (keys, first, mode) in [
        ("contents=[{source='tree/etc', target='/etc'}]", "svc:x:77:88", 0o640),
        ("contents=[{source='tree/etc/passwd', target='/etc/passwd'}]", "svc:x:77:88", 0o640),
        ("contents=[{source='tree/etc/passwd', target='/etc/', mode='a+r'}]", "svc", 0o644),
        ("contents=[{tar='etc.tar', target='/etc'}]", "svc:x:77:88", 0o640),
        ("contents=['tree', 'late']\non_conflict='first'", "svc:x:77:88", 0o640),
        ("contents=['tree', 'late']\non_conflict='last'", "late:x:7:8", 0o644),
        ("[[path]]\npath='/etc/passwd'\ncontent=\"own:x:5:5::/:/x\\n\"", "own:x:5:5", 0o644),
        ("[[path]]\npath='/etc/passwd'\nsource='tree/etc/passwd'", "svc:x:77:88", 0o640),
        ("contents=[{source='tree', exclude='passwd'}]", "root:x:0:0", 0o644),
    ] {
        let built = build(&lab, &format!("{keys}\n[accounts]\nusers=[{{name='new', uid=1}}]\n"));
        let passwd = built.member("etc/passwd").unwrap();
        let text = String::from_utf8(passwd.content).unwrap();
        assert!(text.starts_with(first), "{keys}: {text}");
        assert!(text.ends_with("\nnew:x:1:1::/home/new:/bin/sh\n"), "{keys}: {text}");
        assert_eq!(passwd.mode, mode, "{keys}");
    }
    let owned = "contents=[{source='tree/etc', target='/etc', owner='svc'}]\n";
    assert_eq!(build(&lab, owned).member("etc/passwd").unwrap().owner, (77, 88));
}

#[test]
fn accounts_of_a_base_are_found_behind_links_into_its_store() {
    let lab = Lab::new();
    lab.file("base/nix/store/nss/etc/passwd", "svc:x:77:88::/:/bin/sh\n");
    lab.link("base/etc/passwd", "/nix/store/../store/nss/etc/passwd");
    lab.file("base/etc/real", "svc:x:88:\n");
    lab.link("base/etc/group", "./real");
    lab.build_with("name='base'\ntag='1'\ncontents='base'\n", "base.tar", &[]);
    let built = build(
        &lab,
        "from_image='base.tar'\n[[path]]\npath='/srv'\ntype='directory'\nowner='svc'\n\
         [accounts]\nusers=[{name='new', uid=5}]\n",
    );
    assert_eq!(built.member("srv/").unwrap().owner, (77, 88));
    let passwd = built.member("etc/passwd").unwrap();
    assert_eq!(passwd.kind, '0');
    assert_eq!(passwd.content, b"svc:x:77:88::/:/bin/sh\nnew:x:5:5::/home/new:/bin/sh\n");
    let group = built.member("etc/group").unwrap().content;
    assert_eq!(group, b"svc:x:88:\nnew:x:5:\n");
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
        ("{name='app', uid=4294967295}", "the highest is 4294967294"),
    ] {
        let message =
            rejected(&lab, &format!("from_image='base.tar'\naccounts={{users=[{users}]}}\n"));
        assert!(message.contains(expected), "{users}: {message}");
    }
}

/// A certificate in PEM format that is none, with `body` in it.
fn certificate(body: &str) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[test]
fn a_note_names_authorities_that_were_added_to_those_of_the_host() {
    let lab = Lab::new();
    // As update-ca-certificates of Debian makes it; other hosts keep the bundle elsewhere.
    if !Path::new("/etc/ssl/certs/ca-certificates.crt").is_file()
        || !Path::new("/usr/local/share/ca-certificates").is_dir()
    {
        assert!(std::env::var_os("CI").is_none(), "this host has no bundle as Debian makes it");
        return;
    }
    lab.file("bundle", [certificate("AAAA\nBBBB"), certificate("CCCC")].concat());
    lab.file("own.pem", certificate("AAAA"));
    for (added, helper, note) in [
        ("AAAABBBB", "ca-certificates", true),
        ("DDDD", "ca-certificates", false),
        ("AAAABBBB", "ca-certificates=own.pem", false),
    ] {
        lab.file("added/team/company.crt", certificate(added));
        lab.file("recipe.toml", format!("name='x'\ntag='1'\nhelpers=['{helper}']\n"));
        let script = format!(
            "mount --bind added /usr/local/share/ca-certificates \
             && mount --bind bundle \"$(readlink -f /etc/ssl/certs/ca-certificates.crt)\" \
             || exit 99; exec {} build recipe.toml -o x.tar",
            env!("CARGO_BIN_EXE_seatrial")
        );
        let mut command = lab.command("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        let run = Run::of(command);
        if run.output.status.code() == Some(99) || run.stderr().starts_with("unshare:") {
            assert!(std::env::var_os("CI").is_none(), "{}", run.stderr());
            return;
        }
        let expected = "note: the image trusts authorities that were added to those of this host's \
                        distribution: /usr/local/share/ca-certificates/team/company.crt; \
                        \"ca-certificates=FILE\" takes other certificates\n";
        assert_eq!(run.stderr(), if note { expected } else { "" }, "{added} {helper}");
        run.ok();
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
