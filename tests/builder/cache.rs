//! What is kept of builds: it saves work, and never changes a byte.

use std::fs;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::lab::Lab;

const RECIPE: &str = "name = 'x'\ntag = '1'\ncontents = 'root'\n";
const OCI: [&str; 4] = ["--format", "oci", "--compress", "zstd"];

/// A lab with some files that have been left alone long enough to be told from others by their times.
fn settled() -> Lab {
    let lab = Lab::new();
    lab.file("root/file", "some content\n");
    lab.file("root/other", [7; 100_000]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while lab.kept("layers").is_empty() {
        assert!(Instant::now() < deadline, "nothing is ever kept");
        lab.build(RECIPE);
    }
    lab
}

/// What the file at `path` would say of another diff id, had that been found out.
fn forge(path: &std::path::Path, diff_id: &str) {
    let key = path.file_name().unwrap().to_str().unwrap();
    let check = hex::encode(Sha256::digest(format!("sha256:{key} {diff_id}")));
    fs::write(path, format!("{diff_id} {check}\n")).unwrap();
}

#[test]
fn a_file_that_was_just_changed_is_not_taken_for_known() {
    let lab = Lab::new();
    lab.file("root/file", "new");
    lab.build(RECIPE);
    assert!(lab.kept("layers").is_empty());
}

#[test]
fn what_is_known_is_not_hashed_again_and_the_bytes_are_the_same() {
    let lab = settled();
    let plain = lab.build_with(RECIPE, "plain.tar", &["--no-cache"]);
    assert_eq!(lab.build(RECIPE).bytes, plain.bytes);
    // Only who does not hash would believe this.
    let wrong = format!("sha256:{}", "ab".repeat(32));
    forge(&lab.kept("layers")[0], &wrong);
    assert_eq!(lab.build(RECIPE).summary["layers"][0]["diff_id"], wrong);

    let verified = lab.build_with(RECIPE, "verified.tar", &["--verify"]);
    assert_eq!(verified.bytes, plain.bytes);
    assert_eq!(lab.build(RECIPE).bytes, plain.bytes, "what was found out anew is kept");
}

#[test]
fn no_cache_neither_looks_nor_keeps() {
    let lab = settled();
    let wrong = format!("sha256:{}", "ab".repeat(32));
    let file = &lab.kept("layers")[0];
    forge(file, &wrong);
    let forged = fs::read(file).unwrap();
    let built = lab.build_with(RECIPE, "out.tar", &["--no-cache"]);
    assert_ne!(built.summary["layers"][0]["diff_id"], wrong);
    assert_eq!(fs::read(file).unwrap(), forged);
}

#[test]
fn a_damaged_entry_is_dropped() {
    let lab = settled();
    let plain = lab.build_with(RECIPE, "plain.tar", &["--no-cache"]);
    let file = &lab.kept("layers")[0];
    let sound = fs::read(file).unwrap();
    for damage in [
        &b""[..],
        b"rubbish",
        &sound[..sound.len() - 5],
        &[&b"sha256:00"[..], &sound[9..]].concat(),
    ] {
        fs::write(file, damage).unwrap();
        assert_eq!(lab.build(RECIPE).bytes, plain.bytes);
        assert_eq!(fs::read(file).unwrap(), sound);
    }
}

#[test]
fn a_change_that_keeps_size_and_time_is_seen() {
    let lab = settled();
    let before = lab.build(RECIPE);
    let path = lab.path("root/file");
    let time = path.metadata().unwrap().modified().unwrap();
    fs::write(&path, "SOME CONTENT\n").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let after = lab.build(RECIPE);
    assert_ne!(after.summary["id"], before.summary["id"]);
    assert_eq!(after.bytes, lab.build_with(RECIPE, "plain.tar", &["--no-cache"]).bytes);
}

#[test]
fn layers_are_compressed_once_and_damaged_ones_again() {
    let lab = settled();
    let plain = lab.build_with(RECIPE, "plain.tar", &[&OCI[..], &["--no-cache"]].concat());
    assert_eq!(lab.build_with(RECIPE, "first.tar", &OCI).bytes, plain.bytes);
    let store = lab.kept("blobs").remove(0);
    let blob = fs::read_dir(store).unwrap().flatten().next().unwrap().path();
    assert_eq!(lab.build_with(RECIPE, "second.tar", &OCI).bytes, plain.bytes);
    let sound = fs::read(&blob).unwrap();
    // What lies there is taken: other bytes with their own digest behind them go into the archive as they are.
    let digest = Sha256::digest(b"other bytes");
    fs::write(&blob, [&b"other bytes"[..], &digest].concat()).unwrap();
    lab.build_with(RECIPE, "forged.tar", &OCI);
    let listed = lab.tool("tar", ["-tf", "forged.tar"]);
    assert!(listed.contains(&hex::encode(digest)), "{listed}");
    for damage in [&sound[..10], &[&sound[..20], &[sound[20] ^ 1], &sound[21..]].concat()] {
        fs::write(&blob, damage).unwrap();
        assert_eq!(lab.build_with(RECIPE, "again.tar", &OCI).bytes, plain.bytes);
        assert_eq!(fs::read(&blob).unwrap(), sound);
    }
}
