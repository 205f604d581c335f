//! A tree of files that is built into an image and read back by GNU tar.
//!
//! Invariant: GNU tar extracts from the layer exactly the files that went in, with their kinds,
//! modes, times, targets and contents; as root, also with their owners.
//!
//! Slower than the target `tree`, since each input starts a program.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};

use libfuzzer_sys::fuzz_target;
use seatrial::archive::decompress::Codec;
use seatrial_fuzz::tree::{Built, Entry, Found, Input};

fuzz_target!(|input: Input| {
    let Some(built) = input.built() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for layer in &built.verified.image.layers {
        let codec = Codec::detect(&layer.bytes).expect("a verified layer is read");
        let source = codec.decode(layer.bytes.clone()).expect("a verified layer is read");
        extract(source, folder.path());
    }
    let mut found = BTreeMap::new();
    walk(folder.path(), folder.path(), &built, &mut found).expect("GNU tar's files are read");
    for (path, entry) in &built.expected {
        let shown = String::from_utf8_lossy(path);
        assert!(found.get(path) == Some(entry), "{shown:?}: {:?}", found.get(path));
    }
    assert_eq!(found.len(), built.expected.len());
});

fn extract(mut source: impl io::Read, folder: &Path) {
    let mut tar = Command::new("tar")
        .args([
            "--extract",
            "--preserve-permissions",
            "--numeric-owner",
            "--warning=no-timestamp",
            "--directory",
        ])
        .arg(folder)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("GNU tar starts");
    // A pipe that GNU tar closed early is reported by its exit code.
    let _ = io::copy(&mut source, &mut tar.stdin.take().expect("its standard input"));
    let output = tar.wait_with_output().expect("GNU tar ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "tar: {errors}");
}

fn walk(
    root: &Path,
    folder: &Path,
    built: &Built,
    found: &mut BTreeMap<Vec<u8>, Entry>,
) -> io::Result<()> {
    for child in fs::read_dir(folder)? {
        let place = child?.path();
        let metadata = fs::symlink_metadata(&place)?;
        let kind = metadata.file_type();
        let what = if kind.is_dir() {
            walk(root, &place, built, found)?;
            Found::Folder
        } else if kind.is_symlink() {
            Found::Symlink(fs::read_link(&place)?.into_os_string().into_vec())
        } else if kind.is_fifo() {
            Found::Pipe
        } else {
            Found::File(fs::read(&place)?)
        };
        let path = place.strip_prefix(root).unwrap_or(&place).as_os_str().as_bytes().to_vec();
        assert_eq!(metadata.mtime(), built.mtime, "the time of {place:?}");
        if rustix::process::geteuid().is_root() {
            let owner = (metadata.uid().into(), metadata.gid().into());
            assert_eq!(owner, built.owner, "the owner of {place:?}");
        }
        found.insert(path, Entry { found: what, mode: metadata.mode() & 0o7777 });
    }
    Ok(())
}
