//! Contents: modes, links, special files, names, sizes, merging and conflicts.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::lab::{Built, Lab, Run, STORE};

/// Builds an image with the folder `tree`.
fn build_tree(lab: &Lab) -> Built {
    lab.build("name='x'\ncontents='tree'\n")
}

#[test]
fn modes_are_kept_with_setuid_setgid_and_sticky() {
    let lab = Lab::new();
    for (name, mode) in
        [("tree/suid", 0o4755), ("tree/sgid", 0o2711), ("tree/secret", 0o600), ("tree/open", 0o666)]
    {
        lab.file(name, "");
        lab.mode(name, mode);
    }
    lab.file("tree/tmp/x", "");
    lab.mode("tree/tmp", 0o1777);
    let built = build_tree(&lab);
    for (name, mode) in
        [("suid", 0o4755), ("sgid", 0o2711), ("secret", 0o600), ("open", 0o666), ("tmp/", 0o1777)]
    {
        assert_eq!(built.member(name).unwrap().mode, mode, "{name}");
    }
}

#[test]
fn hard_links_become_files_of_their_own() {
    let lab = Lab::new();
    lab.file("tree/a", "same");
    fs::hard_link(lab.path("tree/a"), lab.path("tree/b")).unwrap();
    let linked = build_tree(&lab);
    for name in ["a", "b"] {
        let member = linked.member(name).unwrap();
        assert_eq!((member.kind, member.content.as_slice()), ('0', &b"same"[..]));
    }
    fs::remove_file(lab.path("tree/b")).unwrap();
    lab.file("tree/b", "same");
    assert_eq!(build_tree(&lab).bytes, linked.bytes);
}

#[test]
fn symlinks_are_kept_and_never_followed_out_of_the_contents() {
    let lab = Lab::new();
    lab.file("secret/key", "do not copy");
    lab.link("tree/out", "../secret");
    lab.link("tree/absolute", "/etc");
    lab.link("tree/dangling", "nowhere");
    lab.file("tree/real/file", "");
    lab.link("tree/inner", "real");
    for layering in ["popularity", "single"] {
        let built = lab.build(&format!("name='x'\nlayering='{layering}'\ncontents='tree'\n"));
        for (name, target) in [("out", "../secret"), ("absolute", "/etc"), ("dangling", "nowhere")]
        {
            let member = built.member(name).unwrap();
            assert_eq!((member.kind, member.link.as_str()), ('2', target), "{layering}");
        }
        assert!(!built.bytes.windows(11).any(|w| w == b"do not copy"));
    }
}

#[test]
fn a_single_layer_has_copies_of_linked_directories_of_store_paths_unless_links_are_kept() {
    let lab = Lab::new();
    lab.store(&[("a-app", &[])]);
    lab.file("store/a-app/usr/bin/tool", "tool");
    lab.link("store/a-app/sbin", "usr/bin");
    lab.link("store/a-app/usr/loop", "..");
    let recipe = format!("name='x'\nlayering='single'\ncontents='/nix/store/a-app'\n{STORE}");
    let copied = lab.build(&recipe);
    assert_eq!(copied.member("sbin/").unwrap().kind, '5');
    assert_eq!(copied.member("sbin/tool").unwrap().content, b"tool");
    assert_eq!(copied.member("usr/loop").unwrap().link, "..", "a link to a parent folder is kept");
    for key in ["keep_contents_dirlinks", "keepContentsDirlinks"] {
        let kept = lab.build(&format!("{key}=true\n{recipe}"));
        assert_eq!(kept.member("sbin").unwrap().link, "usr/bin");
        assert!(kept.member("sbin/tool").is_none());
    }
}

#[test]
fn a_symlink_to_a_directory_of_the_same_content_stays_a_link_in_both_layerings() {
    let lab = Lab::new();
    lab.file("tree/usr/bin/tool", "tool");
    lab.link("tree/bin", "usr/bin");
    for layering in ["popularity", "single"] {
        let built = lab.build(&format!("name='x'\nlayering='{layering}'\ncontents='tree'\n"));
        assert_eq!(built.names(0), ["bin", "usr/", "usr/bin/", "usr/bin/tool"], "{layering}");
    }
}

#[test]
fn directories_follow_symlinks_of_earlier_contents() {
    let lab = Lab::new();
    lab.file("one/usr/bin/a", "");
    lab.link("one/bin", "usr/bin");
    lab.file("two/bin/b", "");
    let built = lab.build("name='x'\ncontents=['one', 'two']\n");
    assert_eq!(built.names(0), ["bin", "usr/", "usr/bin/", "usr/bin/a", "usr/bin/b"]);
}

#[test]
fn pipes_and_devices_are_kept_and_sockets_are_errors() {
    let lab = Lab::new();
    lab.file("tree/x", "");
    lab.tool("mkfifo", ["tree/pipe"]);
    // Only root can create devices, and not in every sandbox.
    let device = Run::of({
        let mut command = lab.command("mknod");
        command.args(["tree/null", "c", "1", "3"]);
        command
    });
    let built = build_tree(&lab);
    assert_eq!(built.member("pipe").unwrap().kind, '6');
    if device.output.status.success() {
        assert_eq!(built.member("null").unwrap().kind, '3');
    }
    let _socket = std::os::unix::net::UnixListener::bind(lab.path("tree/socket")).unwrap();
    let message = lab.rejected("name='x'\ncontents='tree'\n");
    assert!(message.contains("tree/socket: an image cannot contain a socket"), "{message}");
}

#[test]
fn a_name_that_means_a_removal_is_an_error() {
    let lab = Lab::new();
    lab.file("tree/etc/.wh.passwd", "");
    assert!(lab.rejected("name='x'\ncontents='tree'\n").contains("mean a removal"));
}

#[test]
fn gnu_tar_extracts_names_of_any_bytes_and_length() {
    let lab = Lab::new();
    let long = format!("tree/{}/{}/{}", "d".repeat(90), "e".repeat(200), "f".repeat(255));
    lab.file(&long, "deep");
    for length in 95..=105 {
        lab.file(format!("tree/{}", "n".repeat(length)), "edge");
        fs::create_dir_all(lab.path(format!("tree/{}", "m".repeat(length)))).unwrap();
        lab.link(&format!("tree/link{length}"), &"t".repeat(length));
    }
    let raw = std::ffi::OsStr::from_bytes(b"tree/not-\xff-utf8");
    fs::write(lab.path(raw), "raw").unwrap();
    lab.file("tree/\u{fc}ml\u{e4}ut \n newline", "");
    let built = build_tree(&lab);
    fs::write(lab.path("layer.tar"), &built.layer_files()[0]).unwrap();
    fs::create_dir(lab.path("unpacked")).unwrap();
    lab.tool("tar", ["-xf", "layer.tar", "-C", "unpacked"]);
    lab.tool("diff", ["-r", "--no-dereference", "tree", "unpacked"]);
}

#[test]
fn a_file_over_8_gib_has_the_right_size() {
    let lab = Lab::new();
    lab.file("tree/after", "after");
    let size = 8 * (1u64 << 30) + 513;
    fs::File::create(lab.path("tree/a-huge")).unwrap().set_len(size).unwrap();
    lab.file("recipe.toml", "name='x'\ntag='1'\nlayering='single'\ncontents='tree'\n");
    // The first bytes suffice: the members of the archive and of the layer are both over 8 GiB.
    let pipe = "$SEATRIAL stream recipe.toml 2>/dev/null | head -c 1M \
                | tar -xOf - 001/layer.tar 2>/dev/null | tar -tvf - --numeric-owner 2>/dev/null";
    let mut shell: Command = lab.command("bash");
    shell.args(["-c", pipe]).env("SEATRIAL", env!("CARGO_BIN_EXE_seatrial"));
    let listed = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    assert!(
        listed.contains(&format!(" {size} ")) && listed.trim_end().ends_with("a-huge"),
        "{listed}"
    );
}

#[test]
fn gnu_tar_extracts_files_of_sizes_around_the_block_size() {
    let lab = Lab::new();
    let segment = 512 << 10;
    for size in [
        0,
        1,
        511,
        512,
        513,
        1023,
        1024,
        segment - 513,
        segment - 512,
        segment - 1,
        segment,
        segment + 1,
        3 * segment + 7,
    ] {
        lab.file(format!("tree/{size:07}"), (0..size).map(|i| (i / 7) as u8).collect::<Vec<u8>>());
    }
    let built = build_tree(&lab);
    fs::write(lab.path("layer.tar"), &built.layer_files()[0]).unwrap();
    fs::create_dir(lab.path("unpacked")).unwrap();
    lab.tool("tar", ["-xf", "layer.tar", "-C", "unpacked"]);
    lab.tool("diff", ["-r", "tree", "unpacked"]);
}

#[test]
fn contents_share_folders_and_a_conflict_names_both_contents() {
    let lab = Lab::new();
    lab.file("one/etc/a", "1");
    lab.file("two/etc/b", "2");
    assert_eq!(
        lab.build("name='x'\ncontents=['one', 'two']\n").names(0),
        ["etc/", "etc/a", "etc/b"]
    );
    lab.file("two/etc/a", "3");
    let message = lab.rejected("name='x'\ncontents=['one', 'two']\n");
    assert!(
        message.contains("/etc/a") && message.contains("/one") && message.contains("/two"),
        "{message}"
    );
    lab.file("three/etc", "a file");
    let message = lab.rejected("name='x'\ncontents=['one', 'three']\n");
    assert!(
        message.contains("conflict at /etc: a directory in") && message.contains("a file in"),
        "{message}"
    );
}

#[test]
fn a_conflict_of_store_paths_names_both() {
    let lab = Lab::new();
    lab.store(&[("a-one", &[]), ("b-two", &[])]);
    lab.file("store/b-two/bin/one", "another");
    let message = lab
        .rejected(&format!("name='x'\ncontents=['/nix/store/a-one', '/nix/store/b-two']\n{STORE}"));
    assert!(
        message.contains("/bin/one") && message.contains("a-one") && message.contains("b-two"),
        "{message}"
    );
}

#[test]
fn a_link_to_a_folder_in_the_store_is_expanded_if_other_contents_share_the_folder() {
    let lab = Lab::new();
    lab.store(&[("a-env", &["b-pkg"]), ("b-pkg", &[]), ("c-more", &[])]);
    lab.file("store/b-pkg/share/doc", "");
    lab.file("store/c-more/share/man", "");
    lab.link("store/a-env/share", "../b-pkg/share");
    let recipe = |contents: &str| format!("name='x'\ncontents=[{contents}]\n{STORE}");
    let alone = lab.build(&recipe("'/nix/store/a-env'"));
    assert_eq!(alone.member("share").unwrap().link, "/nix/store/a-env/share");
    let shared = lab.build(&recipe("'/nix/store/a-env', '/nix/store/c-more'"));
    assert_eq!(shared.member("share/doc").unwrap().link, "/nix/store/b-pkg/share/doc");
    assert_eq!(shared.member("share/man").unwrap().link, "/nix/store/c-more/share/man");
}

#[test]
fn a_directory_at_the_path_of_a_linked_file_is_a_conflict() {
    let lab = Lab::new();
    lab.store(&[("a-one", &[])]);
    lab.file("tree/bin/one/x", "");
    let message =
        lab.rejected(&format!("name='x'\ncontents=['/nix/store/a-one', 'tree']\n{STORE}"));
    assert!(
        message.contains("conflict at /bin/one: a symlink in")
            && message.contains("a directory in"),
        "{message}"
    );
}

#[test]
fn a_file_appears_at_the_root() {
    let lab = Lab::new();
    lab.file("hello", "binary");
    lab.mode("hello", 0o755);
    lab.store(&[("a-tool", &[])]);
    lab.file("store/s-script", "#!/bin/sh");
    lab.file("graph.json", r#"[{"path":"/nix/store/s-script","references":[]}]"#);
    assert_eq!(lab.build("name='x'\ncontents='hello'\n").names(0), ["hello"]);
    let built = lab.build(&format!("name='x'\ncontents='/nix/store/s-script'\n{STORE}"));
    assert_eq!(built.member("s-script").unwrap().link, "/nix/store/s-script");
    assert_eq!(built.member("nix/store/s-script").unwrap().content, b"#!/bin/sh");
}

#[test]
fn a_symlink_to_a_store_path_means_the_store_path() {
    let lab = Lab::new();
    lab.store(&[("a-tool", &[])]);
    lab.link("result", "store/a-tool");
    let built = lab.build(&format!("name='x'\ncontents='./result'\n{STORE}"));
    assert_eq!(built.member("bin/tool").unwrap().link, "/nix/store/a-tool/bin/tool");
}

#[test]
fn a_file_that_changes_during_the_build_is_an_error() {
    let lab = Lab::new();
    lab.file("tree/a-growing", vec![0; 200 << 20]);
    lab.file("tree/b-log", "short");
    lab.file("recipe.toml", "name='x'\ntag='1'\ncontents='tree'\n");
    let mut stream = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    stream
        .args(["stream", "recipe.toml"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = stream.spawn().unwrap();
    // All files have been listed, but the pipe is full before the second one is read.
    let mut first = [0; 512];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    fs::write(lab.path("tree/b-log"), "longer than before").unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("tree/b-log changed while it was read"), "{message}");
}
