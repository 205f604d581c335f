//! Images that commands change, and several images in one.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::nix::{Image, Member, built, members};

fn tree(name: &str) -> BTreeMap<String, Member> {
    Image::built(name).tree()
}

#[test]
fn extra_commands_change_the_top_layer() {
    let extra = tree("extra");
    assert_eq!(extra["extraCommands"].content, b"(extraCommand)\n");
    assert_eq!(extra["tmp"].mode, 0o1777);
    assert!(extra["bin/hello"].link.contains("-hello-2.12/"));
    assert!(!extra.contains_key("bin/hi"), "a link that the commands removed");
    let top = tree("extraOnBase");
    assert_eq!(top["top"].content, b"top\n");
    assert!(top.contains_key("bin/hello"), "the base's files");
}

#[test]
fn extra_commands_of_a_single_layer_see_copies_of_the_contents() {
    let tree = tree("singleExtra");
    assert_eq!(tree["data"].mode, 0o777);
    assert_eq!(tree["data/file"].content, b"it's \"quoted\" $HOME\n");
    assert_eq!(tree["data/file"].owner, (1000, 100));
    assert!(tree["bin/hello"].content.ends_with(b"world!\"\n"));
    assert!(tree.keys().any(|path| path.ends_with("-libc-2.40")), "what the contents refer to");
}

#[test]
fn copied_contents_have_the_modes_that_they_have_in_the_store() {
    // As `rsync -a` copies them, which nixpkgs uses.
    for name in ["copiedByCommands", "copiedAsRoot"] {
        let tree = tree(name);
        for (path, mode) in [
            ("bin", 0o555),
            ("bin/hello", 0o555),
            ("share/doc", 0o555),
            ("share/doc/README", 0o444),
            ("share/doc/MORE", 0o444),
        ] {
            assert_eq!(tree[path].mode, mode, "{name} {path}");
        }
        assert_eq!(tree["share/doc/README"].content, b"other\n", "{name}");
    }
    assert_eq!(tree("copiedByCommands")["made"].mode, 0o755);
    assert_eq!(tree("copiedAsRoot")["share/doc/made"].content, b"made\n");
}

#[test]
fn the_layer_of_an_image_has_its_contents_without_the_store() {
    for name in ["single", "singleExtra", "copiedAsRoot"] {
        let layer = built(&format!("{name}.layer"));
        let tar = fs::read(layer.join("layer.tar")).unwrap();
        let files = members(&tar).into_iter().filter(|(path, _)| path != "." && !path.is_empty());
        let image = tree(name).into_iter().filter(|(path, _)| !path.starts_with("nix"));
        let image = image.filter(|(path, _)| path != "." && !path.is_empty());
        assert_eq!(files.collect::<BTreeMap<_, _>>(), image.collect::<BTreeMap<_, _>>(), "{name}");
        let sum = Command::new("sha256sum").arg(layer.join("layer.tar")).output().unwrap();
        let checksum = fs::read(layer.join("checksum")).unwrap();
        assert!(sum.stdout.starts_with(checksum.trim_ascii_end()), "{name}");
    }
}

#[test]
fn commands_may_make_temporary_files() {
    // As in nixpkgs: in /tmp of the image, which stays, and in the folder of the build.
    let as_root = tree("copiedAsRoot");
    let temporary = as_root.iter().find(|(path, _)| path.starts_with("tmp/tmp."));
    assert_eq!(temporary.unwrap().1.content, b"temporary\n");
    let tree = Image::streamed("temporaryFiles").tree();
    assert_eq!(tree["made"].content, b"made\n");
    assert!(!tree.keys().any(|path| path.starts_with("build/")));
}

#[test]
fn owners_and_modes_of_fake_root_commands_are_in_the_image() {
    let image = Image::streamed("fakeRoot");
    let tree = image.tree();
    assert_eq!(tree["home/jane"].owner, (1000, 0));
    assert_eq!(tree["bin2/tool"].owner, (12345, 12345));
    assert_eq!(tree["bin2/tool"].mode, 0o4755);
    let paths = image.store_paths();
    assert!(paths.contains(&"app-1.0".to_owned()), "a store path that only the commands name");
    assert!(!paths.iter().any(|path| path.contains("customisation")), "{paths:?}");
}

#[test]
fn fake_chroot_commands_see_the_image_at_the_root() {
    let tree = Image::streamed("fakeChroot").tree();
    assert_eq!(tree["home"].owner, (1000, 1000));
    assert!(tree["etc/passwd"].content.ends_with(b"jane:x:1000:1000::/home/jane:/bin/sh\n"));
    assert!(tree.contains_key("etc/login.defs"));
}

#[test]
fn users_and_groups_are_added_as_in_the_manual_of_nixpkgs() {
    for tree in [Image::streamed("shadow").tree(), tree("shadowAsRoot")] {
        let text = |path: &str| String::from_utf8(tree[path].content.clone()).unwrap();
        let fields = |path: &str| -> Vec<String> {
            let text = text(path);
            let line = text.lines().find(|line| line.starts_with("redis:")).unwrap();
            line.split(':').map(str::to_owned).collect()
        };
        let (user, group) = (fields("etc/passwd"), fields("etc/group"));
        assert_eq!(user[3], group[2], "the group of the user");
        let owner = (user[2].parse().unwrap(), group[2].parse().unwrap());
        assert_eq!(tree["data"].owner, owner);
    }
}

#[test]
fn what_run_as_root_changes_is_one_layer() {
    let image = Image::built("asRoot");
    let layers = image.layers();
    let top = layers.last().unwrap();
    assert_eq!(top["data/changed"].content, b"second\nchanged\n");
    assert_eq!(top["data/hello"].content, b"Hello, world!\n");
    assert_eq!(top["data/hello"].mode, 0o4755);
    assert_eq!(top["var/lib/jane"].owner, (1000, 1000));
    assert!(top["etc/passwd"].content.ends_with(b"jane:x:1000:1000::/var/lib/jane:/bin/sh\n"));
    assert!(top.contains_key("it's \"quoted\""));
    assert_eq!(top["extra"].content, b"extra ' \"quoted\"\n");
    assert!(top["bin/hello"].content.ends_with(b"world!\"\n"), "contents are copied");
    let whiteouts: Vec<&str> =
        top.keys().filter(|path| path.contains(".wh.")).map(String::as_str).collect();
    assert_eq!(whiteouts, ["data/.wh.folder", "data/.wh.removed"]);
    for unchanged in ["data/kept", "link", "bin/busybox", "dev", "proc"] {
        assert!(!top.contains_key(unchanged), "{unchanged}");
    }
    assert!(image.store_paths().contains(&"libc-2.40".to_owned()), "what the contents refer to");
}

#[test]
fn run_as_root_needs_no_base() {
    let tree = tree("asRootWithoutBase");
    assert_eq!(tree["file"].content, b"made\n");
}

#[test]
fn a_nix_database_has_the_closure() {
    for name in ["database", "databaseSingle"] {
        let tree = tree(name);
        let database = tempfile::NamedTempFile::new().unwrap();
        fs::write(database.path(), &tree["nix/var/nix/db/db.sqlite"].content).unwrap();
        let query = "select path from ValidPaths order by path";
        let output = Command::new("sqlite3").arg(database.path()).arg(query).output().unwrap();
        let paths = String::from_utf8(output.stdout).unwrap();
        let names: Vec<&str> = paths.lines().map(|path| path.split_once('-').unwrap().1).collect();
        let mut expected = Image::built(name).store_paths();
        expected.sort();
        let mut names = names.clone();
        names.sort_unstable();
        assert_eq!(names, expected, "{name}");
        let root = tree.keys().find(|path| path.starts_with("nix/var/nix/gcroots/docker/"));
        assert!(root.unwrap().ends_with("-hello-2.12"));
    }
}

#[test]
fn a_shell_image_has_the_environment_of_the_derivation() {
    let image = Image::streamed("shell");
    let config = image.config()["config"].clone();
    let env = config["Env"].as_array().unwrap();
    for variable in ["HOME=/build", "name=hello-2.12", "NIX_BUILD_TOP=/build"] {
        assert!(env.iter().any(|value| value == variable), "{variable}: {env:?}");
    }
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(image.tree()["build"].owner, (1000, 1000));
    let run = Image::built("shellRun");
    let script = run.config()["config"]["Cmd"][1].as_str().unwrap().to_owned();
    let script = &run.tree()[script.strip_prefix('/').unwrap()].content;
    assert!(String::from_utf8_lossy(script).contains("echo ran in $PWD\nexit\n"));
}

#[test]
fn a_shell_image_works_in_the_build_folder_and_makes_no_other_home() {
    let image = Image::streamed("shellInteractive");
    let config = image.config()["config"].clone();
    let env = config["Env"].as_array().unwrap();
    for variable in ["HOME=/homeless-shelter", "PWD=/build"] {
        assert!(env.iter().any(|value| value == variable), "{variable}: {env:?}");
    }
    assert_eq!(config["WorkingDir"], "/build");
    assert!(!image.tree().contains_key("homeless-shelter"));
}

#[test]
fn the_store_of_an_image_is_what_nix_verifies() {
    let root = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).env("HOME", root.path());
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), stderr)
    };
    let folder = root.path().to_str().unwrap();
    for layer in Image::built("database").layer_tars() {
        let tar = tempfile::NamedTempFile::new().unwrap();
        fs::write(tar.path(), layer).unwrap();
        let tar = tar.path().to_str().unwrap();
        let (unpacked, problem) = run("tar", &["-xf", tar, "-C", folder, "--no-same-owner"]);
        assert!(unpacked, "{problem}");
    }
    let verify = ["--store", folder, "--verify", "--check-contents"];
    let (intact, problem) = run("nix-store", &verify);
    assert!(intact && !problem.contains("modified"), "{problem}");
    let store = root.path().join("nix/store");
    let mut paths = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let hello = paths.find(|path| path.to_str().unwrap().ends_with("-hello-2.12")).unwrap();
    // So that another user than root may change and remove the files.
    assert!(run("chmod", &["-R", "u+w", folder]).0);
    fs::write(hello.join("share/doc/README"), "changed").unwrap();
    let (_, problem) = run("nix-store", &verify);
    assert!(problem.contains("was modified"), "{problem}");
}

#[test]
fn merged_images_keep_their_names() {
    let merged = Image::built("merged");
    let manifests = merged.manifests();
    // Images that differ in their name alone are one image with several names.
    let names = manifests.iter().flat_map(|manifest| manifest["RepoTags"].as_array().unwrap());
    let mut references: Vec<String> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
    references.sort();
    let mut expected: Vec<String> =
        ["layered", "tagged", "single"].map(|name| Image::built(name).reference()).into();
    expected.sort();
    assert_eq!(references, expected);
}

#[test]
fn merged_images_are_compressed_like_the_last_one() {
    assert_eq!(fs::read(built("mergedZstd")).unwrap()[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(fs::read(built("merged")).unwrap()[257..262], *b"ustar");
}

#[test]
fn an_exported_image_is_one_tar_of_all_layers() {
    let tar = Command::new("tar").arg("-tf").arg(built("exported")).output().unwrap();
    let names = String::from_utf8(tar.stdout).unwrap();
    for name in ["bin/app", "bin/hello", "share/doc/MORE"] {
        assert!(names.lines().any(|line| line.trim_start_matches("./") == name), "{name}: {names}");
    }
}
