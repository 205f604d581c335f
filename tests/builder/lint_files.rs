//! Findings of `inspect` about the files of an image.

use crate::forge::TarBuilder;
use crate::lab::Lab;
use crate::lint::{CLEAN, elf, lab, rules, rules_of_layers};

#[test]
fn problems_of_files_are_found() {
    let lab = lab();
    lab.file("root/bin/other", elf(183));
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), ["architecture-of-files"]);
    std::fs::remove_file(lab.path("root/bin/other")).unwrap();

    lab.file("root/tmp/open", "x");
    lab.mode("root/tmp", 0o1777);
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), [""; 0], "a sticky folder may be world-writable");
    lab.mode("root/tmp/open", 0o666);
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), ["world-writable"]);
    std::fs::remove_file(lab.path("root/tmp/open")).unwrap();

    lab.file("root/etc/passwd", "web:x:7:7::/:/bin/sh\n");
    lab.build(&CLEAN.replace("'7'", "'web'"));
    assert_eq!(rules(&lab, "out.tar"), ["user-by-name"]);

    lab.build(
        &CLEAN
            .replace("tag=", "created='2024-05-01T12:00:00Z'\nmtime='2024-05-01T11:59:00Z'\ntag="),
    );
    assert_eq!(rules(&lab, "out.tar"), ["build-time-in-files"]);

    std::fs::remove_dir_all(lab.path("root/etc/ssl")).unwrap();
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), ["no-certificate-authorities"]);
}

#[test]
fn a_path_that_occurs_twice_in_a_layer_is_found() {
    // vbatts/tar-split, which Docker and Podman use, compares the paths as filepath.Clean gives
    // them.
    let lab = Lab::new();
    let rules_of = |paths: &[&str]| {
        let mut layer = TarBuilder::new();
        for path in paths {
            let kind = match path.ends_with('/') {
                true => tar::EntryType::Directory,
                false => tar::EntryType::Regular,
            };
            layer = layer.member(path, kind, "", b"");
        }
        rules_of_layers(&lab, &[layer.finish()])
    };
    assert_eq!(rules_of(&["a", "b", "d/", "d/a"]), [""; 0]);
    for paths in [["a", "a"], ["a", "./a"], ["d/", "d/"], ["d/", "./d"], ["a/b", "a//b"]] {
        assert_eq!(rules_of(&paths), ["duplicate-path"], "{paths:?}");
    }
}

#[test]
fn empty_passwords_and_shared_numbers_of_accounts_are_found() {
    let lab = Lab::new();
    let rules_of = |path: &str, text: &str| {
        rules_of_layers(&lab, &[TarBuilder::new().file(path, text.as_bytes()).finish()])
    };
    // passwd(5), shadow(5): an empty password field means that no password is required.
    assert_eq!(rules_of("etc/passwd", "a::7:7::/:/bin/sh\n"), ["empty-password"]);
    assert_eq!(rules_of("etc/shadow", "root:::0:::::\n"), ["empty-password"]);
    assert_eq!(rules_of("etc/shadow", "root:*::0:::::\n# x::\nb:!::0:::::\n"), [""; 0]);
    assert_eq!(rules_of("etc/passwd", "a:x:7:7::/:\nb:x:7:8::/:\n"), ["duplicate-id"]);
    assert_eq!(rules_of("etc/group", "a:x:7:\nb:x:7:a\n"), ["duplicate-id"]);
    assert_eq!(rules_of("etc/passwd", "a:x:7:7::/:\nb:x:8:7::/:\na:x:7:7::/:\n"), [""; 0]);
}

#[test]
fn files_that_should_not_be_in_an_image_are_found_where_a_container_sees_them() {
    let lab = Lab::new();
    let file = |path: &str, content: &[u8]| TarBuilder::new().file(path, content).finish();
    let rules_of = |layers: &[Vec<u8>]| rules_of_layers(&lab, layers);
    for (path, rule) in [
        ("var/cache/apt/archives/a_1_amd64.deb", "package-cache"),
        ("var/lib/apt/lists/deb.example_dists_x_InRelease", "package-cache"),
        ("root/.cache/pip/http/a", "package-cache"),
        ("srv/app/.git/HEAD", "vcs-folder"),
        (".hg/store", "vcs-folder"),
    ] {
        assert_eq!(rules_of(&[file(path, b"x")]), [rule], "{path}");
        let (folder, name) = path.rsplit_once('/').unwrap();
        let removed = file(&format!("{folder}/.wh.{name}"), b"");
        assert_eq!(rules_of(&[file(path, b"x"), removed]), [""; 0], "{path}");
    }
    for path in ["var/lib/apt/lists/lock", "var/cache/fontconfig/a", "srv/.github/x", "srv/a.git/x"]
    {
        assert_eq!(rules_of(&[file(path, b"x")]), [""; 0], "{path}");
    }
    assert_eq!(rules_of(&[file("var/cache/apt/archives/lock", b"")]), [""; 0]);
    let program = |mode| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(mode);
        builder.append_data(&mut header, "bin/su", &b""[..]).unwrap();
        builder.into_inner().unwrap()
    };
    assert_eq!(rules_of(&[program(0o4755)]), ["setuid-file"]);
    assert_eq!(rules_of(&[program(0o2755)]), ["setuid-file"]);
    // A chmod in a step repeats the file in a layer above.
    assert_eq!(rules_of(&[program(0o4755), program(0o755)]), [""; 0]);
    assert_eq!(rules_of(&[program(0o755), program(0o4755)]), ["setuid-file"]);
    assert_eq!(rules_of(&[program(0o757), program(0o755)]), [""; 0]);
    assert_eq!(rules_of(&[program(0o755), program(0o757)]), ["world-writable"]);
    // Engines mount their own /dev.
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Char);
    header.set_size(0);
    header.set_mode(0o666);
    header.set_device_major(1).unwrap();
    header.set_device_minor(3).unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, "dev/null", &b""[..]).unwrap();
    assert_eq!(rules_of(&[builder.into_inner().unwrap()]), [""; 0]);
}

#[test]
fn bytes_that_layers_above_hide_are_found_with_their_paths() {
    let lab = Lab::new();
    let large = vec![0; 700 << 10];
    let two = TarBuilder::new().file("srv/a", &large).file("srv/b", &large).finish();
    let file = |path: &str| TarBuilder::new().file(path, b"x").finish();
    let rules_of = |layers: &[Vec<u8>]| rules_of_layers(&lab, layers);
    let replaced = TarBuilder::new().file("srv/a", b"x").file("srv/b", b"x").finish();
    let whiteouts = TarBuilder::new().file("srv/.wh.a", b"").file("srv/.wh.b", b"").finish();
    for above in [&replaced, &whiteouts, &file(".wh.srv"), &file("srv/.wh..wh..opq"), &file("srv")]
    {
        assert_eq!(rules_of(&[two.clone(), above.clone()]), ["wasted-bytes"]);
        let shown = lab.seatrial(["inspect", "layers.tar"]).ok();
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = "1433600 bytes in lower layers are replaced or removed by layers above: \
                        /srv/a (716800), /srv/b (716800)";
        assert!(shown.contains(expected), "{shown}");
    }
    // Less than 1 MiB, and files beside those that layers above have.
    assert_eq!(rules_of(&[two.clone(), file("srv/a")]), [""; 0]);
    assert_eq!(rules_of(&[two.clone(), file("srv/c"), file("srv/.wh.c")]), [""; 0]);
}

#[test]
fn a_path_may_occur_in_several_layers() {
    let lab = Lab::new();
    let layer = TarBuilder::new().file("a", b"").finish();
    assert_eq!(rules_of_layers(&lab, &[layer.clone(), layer]), [""; 0]);
}

#[test]
fn file_capabilities_are_found() {
    let lab = Lab::new();
    // vfs_cap_data of revision 2 (capabilities(7)): cap_net_raw, and cap_linux_immutable with
    // cap_net_broadcast, whose bits contain a newline.
    for permitted in [0x2000_u32, 0x0a00] {
        let data = [0x0200_0001, permitted, 0, 0, 0].map(u32::to_le_bytes).concat();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("SCHILY.xattr.security.capability", &data[..])]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o755);
        builder.append_data(&mut header, "ping", &b""[..]).unwrap();
        let layer = builder.into_inner().unwrap();
        assert_eq!(rules_of_layers(&lab, &[layer]), ["file-capabilities"]);
    }
}

#[test]
fn programs_that_the_architecture_runs_too_are_not_foreign() {
    let lab = lab();
    let elf_32_bit = |machine: u8| {
        let mut elf = elf(machine);
        elf[4] = 1;
        elf
    };
    lab.file("root/bin/other", elf_32_bit(3)); // i386
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), [""; 0]);
    lab.file("root/bin/other", elf_32_bit(40)); // arm
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), ["architecture-of-files"]);
    lab.file("root/bin/app", elf(183));
    lab.build(&CLEAN.replace("amd64", "arm64"));
    assert_eq!(rules(&lab, "out.tar"), ["32-bit-arm"]);
    lab.seatrial(["inspect", "out.tar", "--deny", "warnings"]).ok();
}
