//! The layer cache: it saves work, and never changes the output.

use std::fs;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::lab::Lab;

const RECIPE: &str = "name = 'x'\ntag = '1'\ncontents = 'root'\n";
const OCI: [&str; 4] = ["--format", "oci", "--compress", "zstd"];

/// A lab whose files are old enough that their times would show a change, and whose layer is
/// cached.
fn lab_with_cache() -> Lab {
    let lab = Lab::new();
    lab.file("root/file", "some content\n");
    lab.file("root/other", [7; 100_000]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while lab.cached_files("layers").is_empty() {
        assert!(Instant::now() < deadline, "the layer is never cached");
        lab.build(RECIPE);
    }
    lab
}

/// Replaces the diff ID in the cache entry at `path`.
fn replace_diff_id(path: &std::path::Path, diff_id: &str) {
    let key = path.file_name().unwrap().to_str().unwrap();
    let check = hex::encode(Sha256::digest(format!("sha256:{key} {diff_id}")));
    fs::write(path, format!("{diff_id} {check}\n")).unwrap();
}

#[test]
fn a_layer_with_a_file_that_was_just_changed_is_not_cached() {
    let lab = Lab::new();
    lab.file("root/file", "new");
    lab.build(RECIPE);
    assert!(lab.cached_files("layers").is_empty());
}

#[test]
fn a_cached_layer_is_not_hashed_again_and_the_output_is_the_same() {
    let lab = lab_with_cache();
    let plain = lab.build_with(RECIPE, "plain.tar", &["--no-cache"]);
    assert_eq!(lab.build(RECIPE).bytes, plain.bytes);
    // Hashing the layer again would reveal the wrong diff ID.
    let wrong = format!("sha256:{}", "ab".repeat(32));
    replace_diff_id(&lab.cached_files("layers")[0], &wrong);
    assert_eq!(lab.build(RECIPE).summary["layers"][0]["diff_id"], wrong);

    let verified = lab.build_with(RECIPE, "verified.tar", &["--verify"]);
    assert_eq!(verified.bytes, plain.bytes);
    assert_eq!(lab.build(RECIPE).bytes, plain.bytes, "--verify writes the cache");
}

#[test]
fn no_cache_neither_reads_nor_writes_the_cache() {
    let lab = lab_with_cache();
    let wrong = format!("sha256:{}", "ab".repeat(32));
    let file = &lab.cached_files("layers")[0];
    replace_diff_id(file, &wrong);
    let entry = fs::read(file).unwrap();
    let built = lab.build_with(RECIPE, "out.tar", &["--no-cache"]);
    assert_ne!(built.summary["layers"][0]["diff_id"], wrong);
    assert_eq!(fs::read(file).unwrap(), entry);
}

#[test]
fn a_damaged_entry_is_replaced() {
    let lab = lab_with_cache();
    let plain = lab.build_with(RECIPE, "plain.tar", &["--no-cache"]);
    let file = &lab.cached_files("layers")[0];
    let intact = fs::read(file).unwrap();
    for damage in [
        &b""[..],
        b"rubbish",
        &intact[..intact.len() - 5],
        &[&b"sha256:00"[..], &intact[9..]].concat(),
    ] {
        fs::write(file, damage).unwrap();
        assert_eq!(lab.build(RECIPE).bytes, plain.bytes);
        assert_eq!(fs::read(file).unwrap(), intact);
    }
}

#[test]
fn a_change_that_keeps_size_and_modification_time_is_detected() {
    let lab = lab_with_cache();
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
fn compressed_layers_are_cached_and_damaged_ones_are_replaced() {
    let lab = lab_with_cache();
    let plain = lab.build_with(RECIPE, "plain.tar", &[&OCI[..], &["--no-cache"]].concat());
    assert_eq!(lab.build_with(RECIPE, "first.tar", &OCI).bytes, plain.bytes);
    let store = lab.cached_files("blobs").remove(0);
    let blob = fs::read_dir(store).unwrap().flatten().next().unwrap().path();
    assert_eq!(lab.build_with(RECIPE, "second.tar", &OCI).bytes, plain.bytes);
    let intact = fs::read(&blob).unwrap();
    // Cached bytes are used as they are if the digest at their end is correct.
    let digest = Sha256::digest(b"other bytes");
    fs::write(&blob, [&b"other bytes"[..], &digest].concat()).unwrap();
    lab.build_with(RECIPE, "forged.tar", &OCI);
    let listed = lab.tool("tar", ["-tf", "forged.tar"]);
    assert!(listed.contains(&hex::encode(digest)), "{listed}");
    for damage in [&intact[..10], &[&intact[..20], &[intact[20] ^ 1], &intact[21..]].concat()] {
        fs::write(&blob, damage).unwrap();
        assert_eq!(lab.build_with(RECIPE, "again.tar", &OCI).bytes, plain.bytes);
        assert_eq!(fs::read(&blob).unwrap(), intact);
    }
}
