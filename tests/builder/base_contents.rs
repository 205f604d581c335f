//! Contents on base images: symlinks, directories and conflicts.

use std::fs;

use serde_json::Value;

use crate::base::{lab, on_base};

#[test]
fn contents_follow_symlinks_of_the_base_and_keep_the_metadata_of_its_directories() {
    let lab = lab();
    lab.file("own/bin/tool", "tool");
    lab.file("own/lib/libx.so", "x");
    lab.file("own/tmp/y", "");
    let built = on_base(&lab, "contents='own'\n");
    let top = built.layers().pop().unwrap();
    let entries: Vec<_> = top.iter().map(|m| (m.name.as_str(), m.mode, m.owner, m.mtime)).collect();
    let base_time = 978_307_200;
    assert_eq!(
        entries,
        [
            ("tmp/", 0o1777, (7, 8), base_time),
            ("tmp/y", 0o644, (0, 0), 1),
            ("usr/", 0o755, (7, 8), base_time),
            ("usr/bin/", 0o755, (7, 8), base_time),
            ("usr/bin/tool", 0o755 & 0o644, (0, 0), 1),
            ("usr/lib/", 0o755, (7, 8), base_time),
            ("usr/lib/libx.so", 0o644, (0, 0), 1),
        ]
    );
}

#[test]
fn symlinks_of_the_base_are_replaced_by_replace_and_by_symlinks_of_the_contents() {
    let lab = lab();
    lab.file("own/bin/tool", "tool");
    assert_eq!(on_base(&lab, "contents='own'\nreplace='/bin'\n").names(1), ["bin/", "bin/tool"]);
    lab.link("links/bin", "sbin");
    assert_eq!(on_base(&lab, "contents='links'\n").member("bin").unwrap().link, "sbin");
}

#[test]
fn paths_in_replace_follow_symlinks_of_the_base_as_contents_do() {
    let lab = lab();
    // The base has /usr/lib/app as a folder, behind its symlink /lib.
    lab.file("folder/lib/app/x", "");
    let base = "name='app'\ntag='1'\nfrom_image='base.tar'\ncontents='folder'\n";
    lab.build_with(base, "app.tar", &[]);
    lab.file("own/lib/app", "file");
    let recipe = "name='x'\ntag='1'\nfrom_image='app.tar'\ncontents='own'\n";
    assert!(lab.rejected(recipe).contains("conflict at /usr/lib/app"));
    for path in ["/lib/app", "/usr/lib/app"] {
        let built = lab.build(&format!("{recipe}replace='{path}'\n"));
        assert_eq!(built.member("usr/lib/app").unwrap().content, b"file", "{path}");
    }
    lab.file("recipe.toml", format!("{recipe}replace=['/lib/app', '/lib/none']\n"));
    let run = lab.seatrial(["build", "recipe.toml", "-o", "out.tar"]);
    assert!(run.stderr().contains("does not have: /lib/none"), "{}", run.stderr());
}

#[test]
fn conflicts_between_files_and_directories_name_both_sides() {
    let lab = lab();
    lab.file("file-over/etc", "file");
    let message = lab.rejected("name='x'\nfrom_image='base.tar'\ncontents='file-over'\n");
    assert!(
        message.contains("conflict at /etc: a file in")
            && message.contains("a directory in the base image"),
        "{message}"
    );
    lab.file("dir-over/etc/hosts/x", "");
    let message = lab.rejected("name='x'\nfrom_image='base.tar'\ncontents='dir-over'\n");
    assert!(
        message.contains("conflict at /etc/hosts: a directory in")
            && message.contains("a file in the base image"),
        "{message}"
    );
    on_base(&lab, "contents='dir-over'\nreplace='/etc/hosts'\n");
}

#[test]
fn contents_can_reuse_paths_that_whiteouts_of_the_base_removed() {
    let lab = lab();
    // A second layer removes /etc/hosts and everything in /tmp.
    lab.file("w/etc/.wh.hosts", "");
    lab.file("w/tmp/.wh..wh..opq", "");
    lab.tool("tar", ["-cf", "w.tar", "-C", "w", "etc", "tmp"]);
    fs::create_dir(lab.path("u")).unwrap();
    lab.tool("tar", ["-xf", "base.tar", "-C", "u"]);
    let mut manifest: Value =
        serde_json::from_slice(&fs::read(lab.path("u/manifest.json")).unwrap()).unwrap();
    let name = manifest[0]["Config"].as_str().unwrap().to_owned();
    let mut config: Value =
        serde_json::from_slice(&fs::read(lab.path(format!("u/{name}"))).unwrap()).unwrap();
    let diff_id = format!("sha256:{}", &lab.tool("sha256sum", ["w.tar"])[..64]);
    config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(diff_id.into());
    manifest[0]["Layers"].as_array_mut().unwrap().push("w.tar".into());
    manifest[0]["Config"] = "c".into();
    lab.file("u/c", config.to_string());
    lab.file("u/manifest.json", manifest.to_string());
    fs::rename(lab.path("w.tar"), lab.path("u/w.tar")).unwrap();
    lab.tool("tar", ["-cf", "base.tar", "-C", "u", "."]);
    lab.file("own/etc/hosts/new-directory", "");
    lab.file("own/tmp/x/new-directory", "");
    let built = on_base(&lab, "contents='own'\n");
    assert!(built.member("etc/hosts/new-directory").is_some());
}
