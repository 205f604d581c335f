//! Contents as tables: targets, patterns, owners, modes, tars and finished layers; compared with
//! chmod, GNU tar and umoci.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use proptest::prelude::*;
use seatrial::build::files::ModeRule;

use crate::lab::{Built, Lab, Run};

pub fn build(lab: &Lab, contents: &str) -> Built {
    lab.build(&format!("name='x'\ntag='1'\narchitecture='amd64'\n{contents}"))
}

pub fn rejected(lab: &Lab, rest: &str) -> String {
    lab.rejected(&format!("name='x'\ntag='1'\n{rest}"))
}

#[test]
fn a_folder_goes_to_its_target_and_a_file_into_it_or_under_its_name() {
    let lab = Lab::new();
    lab.file("dist/bin/app", "app");
    lab.file("app.conf", "conf");
    lab.mode("dist", 0o750);
    let built = build(
        &lab,
        "contents=[{source='dist', target='/srv/app'}, {source='app.conf', target='/etc/'},
         {source='app.conf', target='etc/other.conf'}, 'app.conf']\n",
    );
    let names = [
        "app.conf",
        "etc/",
        "etc/app.conf",
        "etc/other.conf",
        "srv/",
        "srv/app/",
        "srv/app/bin/",
        "srv/app/bin/app",
    ];
    assert_eq!(built.names(0), names);
    assert_eq!(built.member("srv/app/").unwrap().mode, 0o750);
    assert_eq!(built.member("etc/other.conf").unwrap().content, b"conf");
}

#[test]
fn one_table_may_stand_for_the_list() {
    let lab = Lab::new();
    lab.file("dist/app", "");
    assert_eq!(build(&lab, "[contents]\nsource='dist'\ntarget='/a'\n").names(0), ["a/", "a/app"]);
    let built =
        build(&lab, "[[contents]]\nsource='dist'\n[[contents]]\nsource='dist'\ntarget='b'\n");
    assert_eq!(built.names(0), ["app", "b/", "b/app"]);
}

#[test]
fn patterns_without_a_slash_match_names_and_others_match_paths() {
    let lab = Lab::new();
    for name in ["a.rs", "b.txt", "sub/c.rs", "sub/d.txt", "sub/deep/e.rs", "none/f.txt"] {
        lab.file(format!("tree/{name}"), "");
    }
    let names =
        |keys: &str| build(&lab, &format!("contents=[{{source='tree', {keys}}}]\n")).names(0);
    assert_eq!(names("include='*.rs'"), ["a.rs", "sub/", "sub/c.rs", "sub/deep/", "sub/deep/e.rs"]);
    assert_eq!(names("include='/*.rs'"), ["a.rs"]);
    assert_eq!(names("include='./*.rs'"), ["a.rs"]);
    assert_eq!(names("include='sub/*.txt'"), ["sub/", "sub/d.txt"]);
    assert_eq!(names("include='sub', exclude='deep'"), ["sub/", "sub/c.rs", "sub/d.txt"]);
    assert_eq!(names("include='sub/**/*.rs'"), ["sub/", "sub/c.rs", "sub/deep/", "sub/deep/e.rs"]);
    assert_eq!(names("exclude=['*.txt', 'sub/deep/']"), ["a.rs", "none/", "sub/", "sub/c.rs"]);
}

#[test]
fn patterns_that_match_nothing_are_noted() {
    let lab = Lab::new();
    lab.file("tree/a.rs", "");
    lab.file(
        "recipe.toml",
        "name='x'\ncontents=[{source='tree', exclude=['*.pyc', '*.o'], include='*.rs'}]\n",
    );
    let run = lab.seatrial(["build", "recipe.toml", "-o", "out.tar"]);
    let notes = run.stderr();
    run.ok();
    assert!(notes.contains("patterns that match nothing: \"*.o\" of "), "{notes}");
    assert!(notes.contains("*.pyc") && !notes.contains("*.rs"), "{notes}");
}

#[test]
fn an_invalid_pattern_is_an_error() {
    let lab = Lab::new();
    lab.file("tree/a", "");
    let message = rejected(&lab, "contents=[{source='tree', include='[a'}]\n");
    assert!(message.contains("include: \"[a\" is not a pattern"), "{message}");
}

#[test]
fn owners_and_modes_of_a_content_apply_to_its_files_only() {
    let lab = Lab::new();
    lab.file("one/run", "");
    lab.mode("one/run", 0o711);
    lab.file("one/data", "");
    lab.mode("one/data", 0o600);
    lab.link("one/link", "data");
    lab.file("two/plain", "");
    let built = build(
        &lab,
        "contents=[{source='one', target='/srv', owner='1000:2000', mode='u=rwX,go=rX'}, 'two']\n",
    );
    let of = |name: &str| {
        let member = built.member(name).unwrap();
        (member.mode, member.owner)
    };
    assert_eq!(of("srv/"), (0o755, (1000, 2000)));
    assert_eq!(of("srv/run"), (0o755, (1000, 2000)));
    assert_eq!(of("srv/data"), (0o644, (1000, 2000)));
    assert_eq!(of("srv/link"), (0o777, (1000, 2000)));
    assert_eq!(of("plain").1, (0, 0));
    let built =
        build(&lab, "contents=[{source='one', target='/s', owner=7, mode={files='0640'}}]\n");
    assert_eq!(built.member("s/data").unwrap().owner, (7, 7));
    assert_eq!(built.member("s/run").unwrap().mode, 0o640);
    assert_ne!(built.member("s/").unwrap().mode, 0o640);
}

#[test]
fn followed_links_become_what_they_lead_to_within_the_content() {
    let lab = Lab::new();
    lab.file("tree/real/file", "content");
    lab.link("tree/folder", "real");
    lab.link("tree/alias", "real/file");
    let built = build(&lab, "contents=[{source='tree', follow_links=true}]\n");
    let names = ["alias", "folder/", "folder/file", "real/", "real/file"];
    assert_eq!(built.names(0), names);
    assert_eq!(built.member("alias").unwrap().content, b"content");
    lab.link("tree/out", "/etc/hostname");
    let message = rejected(&lab, "contents=[{source='tree', follow_links=true}]\n");
    assert!(message.contains("leads out of the content"), "{message}");
    fs::remove_file(lab.path("tree/out")).unwrap();
    lab.link("tree/real/loop", "..");
    let message = rejected(&lab, "contents=[{source='tree', follow_links=true}]\n");
    assert!(message.contains("a symlink to a folder that it is in"), "{message}");
}

#[test]
fn a_target_outside_of_the_image_is_an_error() {
    let lab = Lab::new();
    lab.file("tree/a", "");
    let message = rejected(&lab, "contents=[{source='tree', target='/srv/../../etc'}]\n");
    assert!(message.contains("target: \"/srv/../../etc\" contains \"..\""), "{message}");
}

#[test]
fn keys_that_do_not_fit_the_kind_of_content_are_errors() {
    let lab = Lab::new();
    lab.file("tree/a", "");
    for (table, expected) in [
        ("source='tree', tar='x.tar'", "has one of source, tar, layer and image"),
        ("target='/x'", "has one of source, tar, layer and image"),
        ("layer='x.tar', owner='1'", "owner does not apply to a layer"),
        ("tar='x.tar', follow_links=true", "follow_links does not apply to a tar"),
        ("source='tree', ownr='1'", "unknown key \"ownr\"; did you mean \"owner\"?"),
        ("source='tree', mode=493", "a mode in quotes such as \"0755\""),
        ("source='tree', mode='u=q'", "mode \"u=q\" is not a mode"),
        ("source='tree', owner='a b'", "owner \"a b\" is not an owner"),
    ] {
        let message = rejected(&lab, &format!("contents=[{{{table}}}]\n"));
        assert!(message.contains(expected), "{table}: {message}");
    }
}

#[test]
fn on_conflict_decides_which_of_two_files_counts() {
    let lab = Lab::new();
    lab.file("one/file", "first");
    lab.file("two/file", "second");
    let recipe = |rule: &str| format!("contents=['one', 'two']\non_conflict='{rule}'\n");
    assert_eq!(build(&lab, &recipe("first")).member("file").unwrap().content, b"first");
    assert_eq!(build(&lab, &recipe("last")).member("file").unwrap().content, b"second");
    let message = rejected(&lab, &recipe("error"));
    assert!(
        message.contains("conflict at /file") && message.contains("set on_conflict"),
        "{message}"
    );
    fs::remove_file(lab.path("two/file")).unwrap();
    lab.file("two/file/below", "");
    let message = rejected(&lab, &recipe("last"));
    assert!(message.contains("a file in") && message.contains("a directory in"), "{message}");
}

#[test]
fn capabilities_and_attributes_of_files_are_kept_or_their_loss_is_noted() {
    let lab = Lab::new();
    lab.file("tree/ping", "ping");
    lab.mode("tree/ping", 0o755);
    lab.file("tree/note", "note");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = lab.command(program);
        command.args(arguments);
        Run::of(command).output.status.success()
    };
    // Not every filesystem has user attributes, and only root sets capabilities.
    if !run("setfattr", &["-n", "user.origin", "-v", "here", "tree/note"])
        || !run("setcap", &["cap_net_raw=ep", "tree/ping"])
        || !run("setfacl", &["-m", "u:1234:rw", "tree/note"])
    {
        return;
    }
    lab.file("recipe.toml", "name='x'\ncontents='tree'\n");
    let dropped = lab.seatrial(["build", "recipe.toml", "-o", "dropped.tar"]);
    let notes = dropped.stderr();
    dropped.ok();
    assert!(notes.contains("left out the capabilities of /ping"), "{notes}");
    for recipe in
        ["xattrs='keep'\ncontents='tree'\n", "contents=[{source='tree', xattrs='keep'}]\n"]
    {
        let built = build(&lab, recipe);
        lab.file("layer.tar", &built.layer_files()[0]);
        fs::create_dir_all(lab.path("out")).unwrap();
        lab.tool("tar", ["--xattrs", "--xattrs-include=*", "-C", "out", "-xpf", "layer.tar"]);
        assert_eq!(lab.tool("getcap", ["out/ping"]), "out/ping cap_net_raw=ep\n");
        let all = |path: &str| lab.tool("getfattr", ["-d", "-m", "-", "-e", "hex", path]);
        assert_eq!(all("out/note").replace("out/", ""), all("tree/note").replace("tree/", ""));
        assert!(all("out/note").contains("system.posix_acl_access"), "{}", all("out/note"));
        fs::remove_dir_all(lab.path("out")).unwrap();
    }
}

/// A clause of a symbolic mode.
const CLAUSE: &str = "[ugoa]{1,3}([-+=][rwxXst]{0,4}|[-+=][ugo]){1,2}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// chmod(1) of GNU coreutils gives the same modes. It keeps setuid and setgid of directories
    /// that an octal mode does not name, which is its extension, so those are symbolic only.
    #[test]
    fn modes_change_as_chmod_changes_them(
        start in 0_u32..=0o7777,
        is_directory: bool,
        clauses in proptest::collection::vec(CLAUSE, 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        match is_directory {
            true => fs::create_dir(&path).unwrap(),
            false => fs::write(&path, "").unwrap(),
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(start)).unwrap();
        let text = clauses.join(",");
        let mut chmod = std::process::Command::new("chmod");
        prop_assert!(chmod.arg(&text).arg(&path).status().unwrap().success());
        let expected = path.symlink_metadata().unwrap().mode() & 0o7777;
        let found = ModeRule::parse(&text).unwrap().apply(start, is_directory);
        prop_assert_eq!(found, expected, "{} {:o} -> {:o}, not {:o}", text, start, expected, found);
    }
}

#[test]
fn a_file_where_another_content_has_a_folder_is_a_conflict_whatever_on_conflict_says() {
    let lab = Lab::new();
    lab.file("one/etc/app", "file");
    lab.file("other/etc/app/settings", "in a folder");
    for rule in ["first", "last"] {
        for contents in ["'one', 'other'", "'other', 'one'"] {
            let recipe = format!("on_conflict='{rule}'\ncontents=[{contents}]\n");
            let message = rejected(&lab, &recipe);
            let hint = "remove it from one of them; on_conflict decides between files only";
            assert!(message.contains("/etc/app") && message.contains(hint), "{message}");
        }
    }
}
