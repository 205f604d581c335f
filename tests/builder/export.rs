//! `seatrial export`: compared with GNU tar, umoci and crane.

use std::fs;

use crate::forge::{TarBuilder, config, docker_archive, hex256, manifest};
use crate::lab::{Lab, members};

const CRANE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/crane");

/// Writes a docker-archive whose layers are made by `layers`, shell commands in a folder each, and
/// packed by GNU tar.
fn image(lab: &Lab, layers: &[&str]) {
    let mut tars = Vec::new();
    for (number, commands) in layers.iter().enumerate() {
        let script = format!(
            "set -e; umask 022; mkdir -p l{number}; cd l{number}; {commands}; cd ..; \
             tar --sort=name --mtime=@1700000000 --owner=7:7 --group=8:8 --xattrs \
             --xattrs-include='user.*' -cf {number}.tar -C l{number} ."
        );
        lab.tool("bash", ["-c", &script]);
        tars.push(fs::read(lab.path(format!("{number}.tar"))).unwrap());
    }
    archive(lab, &tars);
}

/// Writes the docker-archive `image.tar` with these layers.
fn archive(lab: &Lab, tars: &[Vec<u8>]) {
    let slices: Vec<&[u8]> = tars.iter().map(Vec::as_slice).collect();
    let config = config(&slices).to_string();
    let names: Vec<String> = (0..tars.len()).map(|number| format!("{number}/layer.tar")).collect();
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    let config_name = format!("{}.json", hex256(config.as_bytes()));
    let mut archive = TarBuilder::new().file(&config_name, config.as_bytes());
    for (name, tar) in names.iter().zip(tars) {
        archive = archive.file(name, tar);
    }
    let manifest = manifest(&config_name, &listed).to_string();
    lab.file("image.tar", archive.file("manifest.json", manifest.as_bytes()).finish());
}

/// The list of GNU tar, sorted.
fn listing(lab: &Lab, tar: &str) -> Vec<String> {
    let listed = lab.tool("tar", ["--numeric-owner", "--full-time", "-tvf", tar]);
    // The space that aligns sizes depends on the order.
    let mut lines: Vec<String> = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.ends_with(" ./") && !line.ends_with(" /"))
        .collect();
    lines.sort();
    lines
}

const LAYERS: [&str; 3] = [
    "mkdir -p etc/deep/er opt/app usr/bin keep link-to; echo 1 >etc/one; echo 2 >etc/two; \
     echo x >etc/deep/er/x; echo o >opt/app/old; ln etc/one usr/bin/hard; ln -s one etc/soft; \
     mkfifo keep/pipe; chmod 4755 etc/two; echo y >link-to/y; mkdir empty; echo z >replaced; \
     mkdir becomes-link; echo v >becomes-link/v",
    "mkdir -p etc opt/app empty; touch etc/.wh.two etc/.wh.deep; touch opt/app/.wh..wh..opq; \
     echo new >opt/app/new; rm -rf replaced; mkdir replaced; echo in >replaced/in; \
     chmod 700 empty; touch .wh.becomes-link",
    "mkdir -p etc; echo longer >etc/one; ln -s link-to becomes-link; ln etc/one etc/also",
];

#[test]
fn the_tar_has_the_files_that_crane_exports() {
    let lab = Lab::new();
    // crane does not apply opaque whiteouts.
    let layers = LAYERS.map(|layer| layer.replace("touch opt/app/.wh..wh..opq;", ""));
    image(&lab, &layers.each_ref().map(String::as_str));
    lab.seatrial(["export", "image.tar", "-o", "ours.tar"]).ok();
    lab.tool("bash", ["-c", &format!("{CRANE} export - theirs.tar <image.tar")]);
    let (ours, theirs) = (listing(&lab, "ours.tar"), listing(&lab, "theirs.tar"));
    // crane writes each name of a file that it finds first in an upper layer; hard links may have
    // the other name as their target, so kinds and sizes of names of one file differ.
    let names = |lines: &[String]| {
        let mut names: Vec<String> = lines
            .iter()
            .map(|line| line.split(' ').nth(5).unwrap().trim_start_matches("./").to_owned())
            .map(|name| name.trim_end_matches('/').to_owned())
            .filter(|name| name != ".")
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&ours), names(&theirs));
    assert!(ours.iter().any(|line| line.starts_with("prw-r--r-- 7/8 0 2023-11-14")), "{ours:?}");
}

#[test]
fn the_tar_unpacks_to_the_tree_that_umoci_unpacks() {
    let lab = Lab::new();
    image(&lab, &LAYERS);
    lab.tool("skopeo", ["copy", "-q", "docker-archive:image.tar", "oci:layout:1"]);
    lab.tool("umoci", ["unpack", "--rootless", "--image", "layout:1", "bundle"]);
    lab.seatrial(["export", "image.tar", "-o", "ours.tar"]).ok();
    fs::create_dir(lab.path("ours")).unwrap();
    lab.tool("tar", ["--no-same-owner", "-xpf", "ours.tar", "-C", "ours"]);
    lab.tool("diff", ["-r", "--no-dereference", "--exclude=pipe", "bundle/rootfs", "ours"]);
    let tree = |root: &str| {
        let list = format!("cd {root} && find . -mindepth 1 -printf '%P %M %n %l %T@\\n' | sort");
        lab.tool("bash", ["-c", &list])
    };
    let expected = tree("bundle/rootfs");
    assert_eq!(tree("ours"), expected);
    for line in ["usr/bin/hard -rw-r--r-- 1", "etc/also -rw-r--r-- 2", "becomes-link lrwxrwxrwx"] {
        assert!(expected.contains(line), "{line}: {expected}");
    }
    assert!(!expected.contains("etc/deep") && !expected.contains("opt/app/old"), "{expected}");
}

#[test]
fn the_bytes_depend_on_neither_the_compression_nor_the_format_of_the_image() {
    let lab = Lab::new();
    image(&lab, &LAYERS);
    let export = |image: &str| lab.seatrial(["export", image]).output.stdout;
    let plain = export("image.tar");
    assert_eq!(plain.len() % 512, 0);
    let names: Vec<String> = members(&plain).into_iter().map(|member| member.name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted);
    lab.tool("xz", ["-k0", "image.tar"]);
    assert!(export("image.tar.xz") == plain);
    for (format, name) in [("gzip", "oci-gzip"), ("zstd", "oci-zstd")] {
        let destination = format!("oci-archive:{name}.tar:1");
        let arguments = [
            "copy",
            "-q",
            "--dest-compress-format",
            format,
            "docker-archive:image.tar",
            &destination,
        ];
        lab.tool("skopeo", arguments);
        assert!(export(&format!("{name}.tar")) == plain, "{name}");
    }
    lab.seatrial(["export", "image.tar", "-o", "file.tar"]).ok();
    assert!(fs::read(lab.path("file.tar")).unwrap() == plain);
}

#[test]
fn extended_attributes_devices_long_names_and_sparse_files_are_kept() {
    let lab = Lab::new();
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
    // Python can write devices and attributes without being root.
    let script = format!(
        "import tarfile, io\n\
         t = tarfile.open('layer.tar', 'w', format=tarfile.PAX_FORMAT)\n\
         def add(name, kind=tarfile.REGTYPE, data=b'', **more):\n\
         \x20   info = tarfile.TarInfo(name); info.type = kind; info.size = len(data)\n\
         \x20   info.uid = 3000000; info.gid = 12; info.uname = 'me'; info.mtime = 1700000000\n\
         \x20   [setattr(info, key, value) for key, value in more.items()]\n\
         \x20   t.addfile(info, io.BytesIO(data))\n\
         add('bin/ping', data=b'program', mode=0o755, pax_headers={{\n\
         \x20   'SCHILY.xattr.security.capability': '\\x01\\x00\\x00\\x02\\x00 \\x00\\x00',\n\
         \x20   'SCHILY.xattr.user.note': 'an = sign'}})\n\
         add('dev/null', tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)\n\
         add('dev/sda', tarfile.BLKTYPE, devmajor=8, devminor=0)\n\
         add('{long}', data=b'long')\n\
         t.close()\n"
    );
    lab.tool("python3", ["-c", &script]);
    lab.tool("bash", ["-c", "truncate -s 1M hole; echo end >>hole; tar -Scf sparse.tar hole"]);
    archive(&lab, &["layer.tar", "sparse.tar"].map(|name| fs::read(lab.path(name)).unwrap()));
    lab.seatrial(["export", "image.tar", "-o", "ours.tar"]).ok();
    let read = "import tarfile\n\
                for m in tarfile.open('ours.tar'):\n\
                \x20   x = {k: v for k, v in m.pax_headers.items() if 'xattr' in k}\n\
                \x20   print(m.name[:12], m.type, m.uid, m.gid, m.uname, m.mtime, m.size,\n\
                \x20       oct(m.mode), m.devmajor, m.devminor, sorted(x.items()))\n";
    let found = lab.tool("python3", ["-c", read]);
    for line in [
        "bin b'5' 0 0 root 1 0 0o755 0 0 []",
        "bin/ping b'0' 3000000 12 me 1700000000 7 0o755 0 0 [('SCHILY.xattr.security.capability', \
         '\\x01\\x00\\x00\\x02\\x00 \\x00\\x00'), ('SCHILY.xattr.user.note', 'an = sign')]",
        "dev/null b'3' 3000000 12 me 1700000000 0 0o666 1 3 []",
        "dev/sda b'4' 3000000 12 me 1700000000 0 0o644 8 0 []",
        "dddddddddddd b'0' 3000000 12 me 1700000000 4 0o644 0 0 []",
    ] {
        assert!(found.lines().any(|other| other == line), "{line}\n{found}");
    }
    lab.tool("tar", ["-xf", "ours.tar", "hole", "--one-top-level=out"]);
    lab.tool("cmp", ["hole", "out/hole"]);
}

#[test]
fn an_owner_name_that_does_not_fit_a_header_is_left_out_and_not_cut() {
    let lab = Lab::new();
    // The fields for names have 32 bytes, with a NUL at the end (POSIX `pax`, "ustar Interchange
    // Format"); records of pax have names of any length.
    let script = "import tarfile\n\
         t = tarfile.open('layer.tar', 'w', format=tarfile.PAX_FORMAT)\n\
         for length in [31, 32, 40]:\n\
         \x20   info = tarfile.TarInfo(f'of-{length}'); info.uid = 1000 + length; info.gid = 7\n\
         \x20   info.uname = 'u' * length; info.gname = 'g' * length; info.mode = 0o644\n\
         \x20   t.addfile(info)\n\
         info = tarfile.TarInfo('link'); info.type = tarfile.SYMTYPE; info.linkname = 'of-31'\n\
         info.mode = 0o600\n\
         t.addfile(info)\n\
         t.close()\n";
    lab.tool("python3", ["-c", script]);
    archive(&lab, &[fs::read(lab.path("layer.tar")).unwrap()]);
    lab.seatrial(["export", "image.tar", "-o", "ours.tar"]).ok();
    let listed = lab.tool("tar", ["-tvf", "ours.tar"]);
    let owners: Vec<String> = listed
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let fits = format!("-rw-r--r-- {}/{}", "u".repeat(31), "g".repeat(31));
    // GNU tar shows the number of an owner without a name. Linux has one mode for all symlinks.
    let expected = ["lrwxrwxrwx 0/0", &fits, "-rw-r--r-- 1032/7", "-rw-r--r-- 1040/7"];
    assert_eq!(owners, expected, "{listed}");
}

#[test]
fn an_exported_image_has_the_contents_of_its_recipe() {
    let lab = Lab::new();
    lab.file("tree/bin/app", "program");
    lab.file("tree/etc/conf", "x");
    lab.link("tree/etc/link", "conf");
    lab.build("name='x'\ncontents='tree'\n");
    let run = lab.seatrial(["export", "out.tar"]);
    fs::write(lab.path("fs.tar"), &run.output.stdout).unwrap();
    fs::create_dir(lab.path("fs")).unwrap();
    lab.tool("tar", ["-xpf", "fs.tar", "-C", "fs"]);
    lab.tool("diff", ["-r", "--no-dereference", "tree", "fs"]);
    assert_eq!(run.stderr(), "");
}

#[test]
fn an_image_that_cannot_be_exported_writes_no_file() {
    let lab = Lab::new();
    let bad_link = TarBuilder::new().member("a", tar::EntryType::Link, "nowhere", b"").finish();
    archive(&lab, &[bad_link]);
    let message = lab.seatrial(["export", "image.tar", "-o", "no.tar"]).rejected(&lab, "no.tar");
    assert!(message.contains("/a is a hard link to /nowhere, which is not a file"), "{message}");
    let layer = TarBuilder::new().file("a", b"content").finish();
    let other = config(&[b"another layer"]).to_string();
    lab.file("wrong.tar", docker_archive(other.as_bytes(), &layer));
    let message = lab.seatrial(["export", "wrong.tar", "-o", "no.tar"]).rejected(&lab, "no.tar");
    assert!(message.contains("layer l.tar is corrupted"), "{message}");
}

// GNU tar, "Storing Sparse Files", PAX format 1.0: a map without data, so that all is a hole.
#[test]
fn the_holes_of_sparse_files_count_against_the_size_limit() {
    let lab = Lab::new();
    let sparse = |size: u64| {
        let names = ["major=1", "minor=0", "name=s", &format!("realsize={size}")];
        let records: String = names
            .iter()
            .map(|record| {
                let length = record.len() + "NN GNU.sparse.\n".len();
                format!("{length} GNU.sparse.{record}\n")
            })
            .collect();
        let map = [b"0\n".as_slice(), &[0; 510]].concat();
        let layer = TarBuilder::new()
            .member("x", tar::EntryType::XHeader, "", records.as_bytes())
            .file("x", &map)
            .finish();
        docker_archive(config(&[&layer]).to_string().as_bytes(), &layer)
    };
    lab.file("small.tar", sparse(5000));
    lab.file("large.tar", sparse(1 << 50));
    lab.seatrial(["export", "small.tar", "-o", "small"]).ok();
    lab.tool("tar", ["-xf", "small", "-C", "."]);
    assert_eq!(std::fs::read(lab.path("s")).unwrap(), [0; 5000]);
    for arguments in
        [&["export", "large.tar", "-o", "out"], &["diff", "large.tar", "small.tar"][..]]
    {
        let message = lab.seatrial(arguments).rejected(&lab, "out");
        assert!(message.contains("raise the limit with --max-size"), "{message}");
    }
}
