//! Files in the place of an image, and files of an OCI layout in a folder.

use std::fs;
use std::os::unix::net::UnixListener;

use serde_json::Value;

use crate::forge::{
    OCI_CONFIG, OCI_LAYER, OciFolder, TarBuilder, config, docker_archive, valid_layer,
};
use crate::lab::Lab;
use crate::reading::{assert_rejected, inspect};

#[test]
fn pipes_sockets_and_devices_in_an_oci_folder_are_not_opened() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let layer = oci.blob(&valid_layer(), OCI_LAYER);
    let config = oci.document(OCI_CONFIG, &config(&[&valid_layer()]));
    let image = oci.manifest(config.clone(), std::slice::from_ref(&layer));
    oci.index(std::slice::from_ref(&image));
    inspect(&lab, &["oci"]);
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        format!("oci/blobs/{}", digest.replace(':', "/"))
    };
    for name in [
        "oci/oci-layout".to_owned(),
        "oci/index.json".to_owned(),
        blob(&image),
        blob(&config),
        blob(&layer),
    ] {
        let (path, saved) = (lab.path(&name), lab.path("saved"));
        fs::rename(&path, &saved).unwrap();
        lab.tool("mkfifo", [name.as_str()]);
        assert_rejected(&lab, "oci", "is a pipe, not a regular file");
        fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        assert_rejected(&lab, "oci", "is a socket, not a regular file");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_rejected(&lab, "oci", "is a folder, not a regular file");
        fs::remove_dir(&path).unwrap();
        for target in ["/dev/zero", "/dev/tty", "../../../../../../../../../dev/zero"] {
            lab.link(&name, target);
            assert_rejected(&lab, "oci", "leads out of the folder");
            fs::remove_file(&path).unwrap();
        }
        fs::rename(&saved, &path).unwrap();
    }
}

#[test]
fn links_in_an_oci_folder_are_followed_within_it() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    oci.index(&[oci.image(&config(&[&valid_layer()]))]);
    lab.tool("mv", ["oci/blobs/sha256", "oci/store"]);
    lab.link("oci/blobs/sha256", "../../oci/store");
    assert_rejected(&lab, "oci", "leads out of the folder");
    fs::remove_file(lab.path("oci/blobs/sha256")).unwrap();
    lab.link("oci/blobs/sha256", ".././store");
    inspect(&lab, &["oci"]);
    lab.link("link", "oci");
    inspect(&lab, &["link"]);
    fs::remove_file(lab.path("oci/blobs/sha256")).unwrap();
    lab.link("oci/blobs/sha256", "sha256");
    assert_rejected(&lab, "oci", "leads out of the folder");
}

#[test]
fn errors_about_other_files_say_what_they_are() {
    let lab = Lab::new();
    let layer = valid_layer();
    let image = docker_archive(config(&[&layer]).to_string().as_bytes(), &layer);
    lab.file("image.tar", &image);
    lab.tool("bash", ["-c", "bzip2 -k image.tar; mkfifo pipe; mkdir dir; cp image.tar dir/"]);
    let root = TarBuilder::new()
        .member("bin/sh", tar::EntryType::Symlink, "/bin/busybox", b"")
        .member("dev/null", tar::EntryType::Char, "", b"")
        .file("etc/passwd", b"")
        .finish();
    lab.file("root.tar", root);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
    lab.file("pointer.tar", pointer);
    lab.file("page.tar", "\n<!DOCTYPE html><html><body>not found</body></html>".repeat(30));
    lab.file("manifest", "{}");
    lab.file("empty", "");
    lab.file("folder/manifest.json", "[]");
    for (name, expected) in [
        ("image.tar.bz2", "this is a file compressed with bzip2, not a tar archive"),
        ("root.tar", "not an image but a root file system, with bin, dev, etc"),
        ("pointer.tar", "this is a Git LFS pointer, not a tar archive"),
        ("page.tar", "this is a web page, not a tar archive"),
        ("manifest", "this is a JSON document, not a tar archive"),
        ("empty", "the file is empty"),
        ("dir", "the folder has no file oci-layout"),
        ("folder", "pack its files into a tar"),
        ("pipe", "it is a pipe"),
        ("-", "cannot be read from standard input"),
        ("absent.tar", "o such file"),
    ] {
        assert_rejected(&lab, name, expected);
    }
    // A recipe cannot name an image in a daemon, so it has another error there.
    let message = lab.seatrial(["inspect", "alpine:3.20"]).rejected(&lab, "x");
    for location in ["docker://alpine:3.20", "docker-daemon:alpine:3.20"] {
        assert!(message.contains(location), "{message}");
    }
    let message = lab.rejected("name='x'\nfrom_image='alpine:3.20'\n");
    assert!(message.contains("there is no file alpine:3.20"), "{message}");
    let piped = format!("cat image.tar | {} inspect /dev/stdin", env!("CARGO_BIN_EXE_seatrial"));
    let output = lab.command("bash").args(["-c", &piped]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("it is a pipe") && message.contains("a file first"), "{message}");
}

#[test]
fn errors_about_temporary_files_name_their_folder() {
    let lab = Lab::new();
    let layer = valid_layer();
    lab.file("image.tar", docker_archive(config(&[&layer]).to_string().as_bytes(), &layer));
    lab.tool("gzip", ["image.tar"]);
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["inspect", "image.tar.gz"]).env("TMPDIR", lab.path("absent"));
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "seatrial: failed to write a temporary file in {} (set TMPDIR to use another folder): ",
        lab.path("absent").display()
    );
    assert!(message.starts_with(&expected), "{message}");
    assert_eq!(output.status.code(), Some(3));
}
