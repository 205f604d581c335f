//! Tars and finished layers among the contents; compared with GNU tar and umoci.

use std::fs;

use sha2::{Digest, Sha256};

use crate::content_tables::{build, rejected};
use crate::lab::{Lab, is_root};

/// A root file system as a tar of GNU tar, with everything that a folder cannot express.
fn rootfs(lab: &Lab) {
    lab.file("root/usr/bin/tool", "tool");
    lab.mode("root/usr/bin/tool", 0o4755);
    fs::hard_link(lab.path("root/usr/bin/tool"), lab.path("root/usr/bin/alias")).unwrap();
    lab.link("root/bin", "usr/bin");
    lab.file("root/etc/app.conf", "conf");
    lab.file("root/var/lib/app/.keep", "");
    lab.tool("mkfifo", ["root/pipe"]);
    // An alias that sorts after its target in the tar, and before it in a layer.
    lab.tool(
        "bash",
        [
            "-c",
            "cd root && tar --sort=none --numeric-owner --format=pax --xattrs \
          --mtime=@1600000000.5 --owner=app:1000 --group=web:1001 -cf ../rootfs.tar \
          usr/bin/tool usr bin etc var pipe",
        ],
    );
}

#[test]
fn a_tar_keeps_its_owners_modes_links_and_times() {
    let lab = Lab::new();
    rootfs(&lab);
    for command in ["gzip -kf", "zstd -qkf", "xz -kf"] {
        lab.tool("bash", ["-c", &format!("{command} rootfs.tar")]);
    }
    let plain = build(&lab, "contents=[{tar='rootfs.tar'}]\n");
    for suffix in [".gz", ".zst", ".xz"] {
        let compressed = build(&lab, &format!("contents=[{{tar='rootfs.tar{suffix}'}}]\n"));
        assert_eq!(compressed.bytes, plain.bytes, "{suffix}");
    }
    let alias = plain.member("usr/bin/alias").unwrap();
    assert_eq!((alias.kind, alias.mode, alias.owner), ('0', 0o4755, (1000, 1001)));
    assert_eq!((alias.mtime, &alias.content[..]), (1_600_000_000, &b"tool"[..]));
    let tool = plain.member("usr/bin/tool").unwrap();
    assert_eq!((tool.kind, tool.link.as_str()), ('1', "usr/bin/alias"));
    assert_eq!((tool.mode, tool.owner), (0o4755, (1000, 1001)));
    assert_eq!(plain.member("bin").unwrap().link, "usr/bin");
    assert_eq!(plain.member("pipe").unwrap().kind, '6');
    // GNU tar finds no difference between the files that it packed and those of the layer.
    lab.file("layer.tar", &plain.layer_files()[0]);
    if is_root() {
        let list = |tar: &str| {
            let list = lab.tool("tar", ["--full-time", "--numeric-owner", "-tvf", tar]);
            let mut lines: Vec<String> =
                list.lines().map(|line| line.replace(":40.5 ", ":40 ")).collect();
            lines.retain(|line| !line.contains("usr/bin/"));
            lines.sort();
            lines.dedup();
            lines
        };
        assert_eq!(list("layer.tar"), list("rootfs.tar"));
    }
}

#[test]
fn a_tar_has_a_target_patterns_and_an_owner() {
    let lab = Lab::new();
    rootfs(&lab);
    let built = build(
        &lab,
        "contents=[{tar='rootfs.tar', target='/opt/root', exclude=['alias', 'var'], owner='5:6',
          mode={files='a+r'}}]\n",
    );
    let names = built.names(0);
    assert!(names.contains(&"opt/root/etc/app.conf".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("alias") || name.contains("var")), "{names:?}");
    let tool = built.member("opt/root/usr/bin/tool").unwrap();
    assert_eq!((tool.kind, tool.owner, &tool.content[..]), ('0', (5, 6), &b"tool"[..]));
    // Without the target of a hard link, the link is the file.
    let built = build(&lab, "contents=[{tar='rootfs.tar', include='alias'}]\n");
    assert_eq!(built.names(0), ["usr/", "usr/bin/", "usr/bin/alias"]);
    assert_eq!(built.member("usr/bin/alias").unwrap().content, b"tool");
}

#[test]
fn a_tar_follows_symlinks_of_the_base() {
    let lab = Lab::new();
    lab.file("base/usr/bin/sh", "");
    lab.link("base/bin", "usr/bin");
    lab.build_with("name='base'\ncontents='base'\n", "base.tar", &[]);
    lab.file("tree/bin/tool", "");
    lab.tool("tar", ["-C", "tree", "-cf", "tree.tar", "."]);
    let built = build(&lab, "from_image='base.tar'\ncontents=[{tar='tree.tar'}]\n");
    assert_eq!(built.names(1), ["usr/", "usr/bin/", "usr/bin/tool"]);
}

#[test]
fn a_finished_layer_is_in_the_image_byte_for_byte() {
    let lab = Lab::new();
    lab.file("tree/app", "app");
    rootfs(&lab);
    let tar = fs::read(lab.path("rootfs.tar")).unwrap();
    lab.tool("gzip", ["-k", "rootfs.tar"]);
    for layer in ["rootfs.tar", "rootfs.tar.gz"] {
        for format in ["docker", "oci"] {
            let recipe = format!("name='x'\ntag='1'\ncontents=[{{layer='{layer}'}}, 'tree']\n");
            let built = lab.build_with(&recipe, "out.tar", &["--format", format]);
            let layers = built.summary["layers"].as_array().unwrap();
            let digest = format!("sha256:{}", hex::encode(Sha256::digest(&tar)));
            assert_eq!(layers[1]["diff_id"], digest.as_str(), "{layer} {format}");
            if format == "docker" {
                assert_eq!(built.names(0), ["app"]);
                assert!(built.layer_files()[1] == tar);
            }
        }
    }
    // The derived tag covers it.
    let tag = |layer: &str| lab.build(&format!("name='x'\ncontents=[{{layer='{layer}'}}]\n")).tag();
    let first = tag("rootfs.tar");
    assert_eq!(first, tag("rootfs.tar.gz"));
    lab.tool("tar", ["-cf", "other.tar", "tree"]);
    assert_ne!(first, tag("other.tar"));
}

#[test]
fn a_finished_layer_counts_against_the_limit_of_layers() {
    let lab = Lab::new();
    lab.file("tree/app", "");
    lab.tool("tar", ["-cf", "x.tar", "tree"]);
    let message = rejected(&lab, "max_layers=1\ncontents=['tree', {layer='x.tar'}]\n");
    assert!(message.contains("raise max_layers to at least 2"), "{message}");
}

#[test]
fn broken_and_hostile_tars_are_errors() {
    let lab = Lab::new();
    lab.file("tree/app", "x".repeat(5000));
    lab.file("note", "no tar at all, but text that is longer than a block".repeat(30));
    lab.tool("tar", ["-cf", "x.tar", "tree"]);
    let tar = fs::read(lab.path("x.tar")).unwrap();
    lab.file("cut.tar", &tar[..2000]);
    lab.tool("bash", ["-c", "tar -P --transform=s,tree,../../tree, -cf out.tar tree"]);
    lab.tool(
        "bash",
        ["-c", "echo x >a && ln a b && tar -cf links.tar a b && tar --delete -f links.tar a"],
    );
    for kind in ["tar", "layer"] {
        for (tar, expected) in [
            ("missing.tar", "failed to read"),
            ("note", "note: it is not a tar"),
            ("cut.tar", "truncated"),
            ("out.tar", "unsafe or empty path"),
            ("tree", "it is a folder, not a tar; a folder is given as source"),
        ] {
            let message = rejected(&lab, &format!("contents=[{{{kind}='{tar}'}}]\n"));
            assert!(message.contains(expected), "{kind} {tar}: {message}");
        }
    }
    let message = rejected(&lab, "contents=[{tar='links.tar'}]\n");
    assert!(message.contains("\"b\" is a hard link to \"a\", which it does not have"), "{message}");
    // A small file that decompresses to much more than the limit.
    lab.tool("bash", ["-c", "tar -cf - --transform s,big,b, <(:) 2>/dev/null; true"]);
    lab.tool("bash", ["-c", "head -c 20M /dev/zero >big && tar -czf bomb.tar.gz big"]);
    lab.file("recipe.toml", "name='x'\ncontents=[{tar='bomb.tar.gz'}]\n");
    let run = lab.seatrial(["build", "recipe.toml", "-o", "x-out.tar", "--max-size", "1M"]);
    let message = run.rejected(&lab, "x-out.tar");
    assert!(message.contains("decompresses to more than 1048576 bytes"), "{message}");
}

#[test]
fn sparse_files_of_a_tar_have_zeros_for_their_holes() {
    let lab = Lab::new();
    lab.tool(
        "bash",
        [
            "-c",
            "mkdir tree; truncate -s 1M tree/hole tree/a; echo data >>tree/a; cp tree/a tree/z
            printf start | dd of=tree/z conv=notrunc; echo plain >tree/plain; ln tree/a tree/more",
        ],
    );
    for (name, options) in [
        ("GNU format", "--format=gnu"),
        ("PAX format 0.1", "--format=pax --sparse-version=0.1"),
        ("PAX format 1.0", "--format=pax --sparse-version=1.0"),
        ("compressed", "--gzip"),
    ] {
        lab.tool("bash", ["-c", &format!("tar -C tree --sparse {options} -cf in.tar .")]);
        let built = lab.build("name='x'\ncontents=[{tar='in.tar', target='/t'}]\n");
        lab.file("layer.tar", built.layer_files().remove(0));
        let script = "rm -rf out; mkdir out; tar -x -f layer.tar -C out
            diff -r tree out/t && stat -c '%h %s' out/t/a";
        assert_eq!(lab.tool("bash", ["-ec", script]), "2 1048581\n", "{name}");
    }
}

/// Unpacks the layer of `built` and the tar `tar` with GNU tar, and returns how they differ: names,
/// kinds, modes, owners, contents.
fn compared(lab: &Lab, built: &crate::lab::Built, tar: &str, members: &str) -> String {
    lab.file("layer.tar", built.layer_files().remove(0));
    let script = format!(
        "rm -rf ours theirs; mkdir ours theirs
         tar -xpf layer.tar -C ours; tar -xpf {tar} -C theirs {members}
         for tree in ours theirs; do
             (cd $tree; find . -mindepth 1 -printf '%P %y %m %U:%G %l\\n' | sort
              find . -type f | sort | xargs -r cat) >$tree.list
         done
         diff ours.list theirs.list; true"
    );
    lab.tool("bash", ["-ec", &script])
}

#[test]
fn members_with_the_same_name_and_odd_hard_links_are_as_gnu_tar_unpacks_them() {
    let lab = Lab::new();
    for (name, script) in [
        ("hard links to a symlink", "ln -s x a; ln -P a b; tar -cf in.tar a b"),
        ("hard links to a pipe", "mkfifo a; ln a b; tar -cf in.tar a b"),
        ("a file becomes a folder", "echo 1 >a; tar -cf in.tar a; rm a; mkdir a; echo 2 >a/b"),
        ("a symlink becomes a folder", "ln -s x a; tar -cf in.tar a; rm a; mkdir a; echo >a/b"),
        ("a folder becomes a symlink", "mkdir a; tar -cf in.tar a; rmdir a; ln -s x a"),
        ("a linked file is replaced", "echo 1 >a; ln a b; tar -cf in.tar a b; rm a; echo new >a"),
    ] {
        let script = format!("rm -rf t; mkdir t; cd t; {script}; tar -rf in.tar a; mv in.tar ..");
        lab.tool("bash", ["-ec", &script]);
        let built = build(&lab, "contents=[{tar='in.tar'}]\n");
        assert_eq!(compared(&lab, &built, "in.tar", ""), "", "{name}");
    }
}

#[test]
fn the_folders_that_lead_to_included_members_keep_their_metadata() {
    let lab = Lab::new();
    lab.file("srv/app/data", "data");
    lab.file("srv/other", "");
    lab.mode("srv", 0o711);
    lab.mode("srv/app", 0o2750);
    lab.tool("tar", ["-cf", "in.tar", "srv"]);
    let built = build(&lab, "contents=[{tar='in.tar', include='/srv/app/data'}]\n");
    let members = "--no-recursion srv srv/app srv/app/data";
    assert_eq!(compared(&lab, &built, "in.tar", members), "");
}

#[test]
fn later_contents_and_single_paths_follow_the_symlinks_of_a_tar() {
    let lab = Lab::new();
    rootfs(&lab);
    lab.file("app/bin/app", "app");
    let built = build(
        &lab,
        "contents=[{tar='rootfs.tar'}, 'app']\n[[path]]\npath='/bin/made'\ncontent='x'\n\
         [[path]]\npath='/bin/tool'\nowner='5'\n[[path]]\npath='/opt'\ntype='symlink'\n\
         target='srv'\n[[path]]\npath='/opt/file'\ncontent='x'\n",
    );
    for (path, kind) in
        [("bin", '2'), ("usr/bin/app", '0'), ("usr/bin/made", '0'), ("opt", '2'), ("srv/file", '0')]
    {
        assert_eq!(built.member(path).unwrap().kind, kind, "{path}");
    }
    assert_eq!(built.member("usr/bin/tool").unwrap().owner, (5, 5));
}

#[test]
fn times_that_engines_do_not_keep_are_1970_and_a_note_names_the_tar() {
    let lab = Lab::new();
    lab.file("old", "x");
    // The second is a second after the last one in nanoseconds that 64 bits can hold.
    for (format, seconds, date) in [
        ("gnu", "-86400", "1969-12-31"),
        ("posix", "-86400", "1969-12-31"),
        ("posix", "9223372037", "2262-04-11"),
    ] {
        let script = format!("tar --format={format} --mtime=@{seconds} -cf in.tar old");
        lab.tool("bash", ["-ec", &script]);
        assert!(lab.tool("tar", ["--full-time", "-tvf", "in.tar"]).contains(date));
        lab.file("recipe.toml", "name='x'\ncontents=[{tar='in.tar'}]\n");
        let run = lab.seatrial(["build", "recipe.toml", "-o", "out.tar"]);
        let note = "times before 1970 or after 2262 become 1970-01-01T00:00:00Z, as container \
                    engines set them: ";
        assert!(run.stderr().contains(note), "{format}: {}", run.stderr());
        run.ok();
        let built = build(&lab, "contents=[{tar='in.tar'}]\n");
        assert_eq!(built.member("old").unwrap().mtime, 0, "{format}");
    }
}
