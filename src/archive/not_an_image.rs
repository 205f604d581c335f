//! Errors about inputs that are not images: they say what the input is, and what to do instead.

use std::collections::BTreeSet;
use std::fs::FileType;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::ArchiveError;
use super::blob::FileSlice;
use crate::image::Reference;

/// The number of bytes by which the kind of a file is recognized.
const HEAD_SIZE: u64 = 512;

/// The first bytes of files, what such a file is, and what to do.
type Kinds = [(&'static [u8], &'static str, &'static str)];

/// Compressed files that are not read.
const COMPRESSED: &Kinds = &[
    (b"BZh", "a file compressed with bzip2", "decompress it with bunzip2"),
    (b"\x04\x22\x4d\x18", "a file compressed with lz4", "decompress it with lz4 -d"),
    (b"\x4c\x5a\x49\x50\x01", "a file compressed with lzip", "decompress it with lzip -d"),
];

/// Other files that are not images.
const KINDS: &Kinds = &[
    (b"PK\x03\x04", "a zip archive", "images are tars; make one with docker save"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "images are tars; make one with docker save"),
    (
        b"version https://git-lfs.github.com/",
        "a Git LFS pointer",
        "fetch the file with git lfs pull",
    ),
    (b"\x7fELF", "a program", "give an image, such as the output of docker save"),
    (b"#!", "a script", "give an image, such as the output of docker save"),
    (b"hsqs", "a squashfs file system", "give an image, such as the output of docker save"),
    (b"QFI\xfb", "a disk of a virtual machine", "give an image of a container"),
    (b"{", "a JSON document", "give the archive or the folder with the whole image"),
    (b"[", "a JSON document", "give the archive or the folder with the whole image"),
];

/// Describes a tar that is not an image archive. `root_directories` are the directories of a root
/// file system that it has.
pub(crate) fn tar(root_directories: &BTreeSet<&str>) -> Option<String> {
    let some: Vec<&str> = root_directories.iter().copied().take(3).collect();
    (some.len() > 1).then(|| {
        format!(
            "not an image but a root file system, with {}: docker export writes such archives; \
             use docker save, or put it into a recipe: contents = {{ tar = \"FILE\" }}",
            some.join(", ")
        )
    })
}

/// Describes a file that is not a tar.
pub(crate) fn file(file: &FileSlice) -> io::Result<String> {
    let head = head(file)?;
    if head.is_empty() {
        return Ok("not an image: the file is empty".to_owned());
    }
    if let Some(kind) = kind(COMPRESSED, &head).or_else(|| kind(KINDS, &head)) {
        return Ok(kind);
    }
    if is_html(&head) {
        let hint = "check the address from which it was downloaded";
        return Ok(format!("this is a web page, not a tar archive; {hint}"));
    }
    let hint = match is_recipe(&head) {
        true => "; if it is a recipe, build it first",
        false => "",
    };
    Ok(format!("not an image; expected a docker-archive or an OCI layout{hint}"))
}

/// Describes a compressed file that is not read; `None` if it is another file.
pub(super) fn compressed(file: &FileSlice) -> io::Result<Option<String>> {
    Ok(kind(COMPRESSED, &head(file)?))
}

/// The first bytes of `file`.
fn head(file: &FileSlice) -> io::Result<Vec<u8>> {
    let size = file.len().min(HEAD_SIZE);
    let mut head = vec![0; size as usize];
    file.part(0, size).read_exact(&mut head)?;
    Ok(head)
}

/// Describes a file that begins with `head`, if it is of one of these kinds.
fn kind(kinds: &Kinds, head: &[u8]) -> Option<String> {
    let (_, kind, hint) = kinds.iter().find(|(magic, ..)| head.starts_with(magic))?;
    Some(format!("this is {kind}, not a tar archive; {hint}"))
}

fn is_html(head: &[u8]) -> bool {
    let text = head.trim_ascii_start().to_ascii_lowercase();
    [&b"<!doctype"[..], b"<html", b"<head", b"<?xml"].iter().any(|tag| text.starts_with(tag))
}

/// Whether a file that begins with `head` may be a recipe in TOML.
fn is_recipe(head: &[u8]) -> bool {
    let lines = head.split(|byte| *byte == b'\n');
    let is_name = |line: &[u8]| line.strip_prefix(b"name").is_some_and(|rest| rest.contains(&b'='));
    lines.into_iter().any(is_name)
}

/// The error about a pipe or device.
pub(crate) fn not_a_file(path: &Path, kind: FileType) -> ArchiveError {
    let kind = if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_dir() {
        "a folder"
    } else {
        "a device"
    };
    let problem = format!(
        "it is {kind}, but an image is not read in order, so it must be a file or a folder; write \
         it to a file first"
    );
    ArchiveError::invalid(path, problem)
}

/// The names of transports, as in skopeo, that stand before a path.
const OF_FILES: [&str; 5] = ["docker-archive:", "oci-archive:", "oci:", "dir:", "file:"];
/// The names of transports for images that are not in files.
const OF_IMAGES: [&str; 4] = ["docker://", "docker-daemon:", "containers-storage:", "docker:/"];

/// The error about a `path` that cannot be opened, with a hint if it looks like something else.
pub(crate) fn not_found(path: &Path, error: io::Error) -> ArchiveError {
    let text = path.to_string_lossy();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let has_tag = name.contains(':') && name.parse::<Reference>().is_ok();
    let hint = if error.kind() != io::ErrorKind::NotFound {
        return ArchiveError::read(path)(error);
    } else if name == "-" {
        "an image cannot be read from standard input; write it to a file first"
    } else if OF_FILES.iter().any(|transport| text.contains(transport)) {
        "give the path alone, without a transport"
    } else if has_tag || OF_IMAGES.iter().any(|transport| text.contains(transport)) {
        "an image is given as a file or folder; save it first with docker save or skopeo copy"
    } else {
        return ArchiveError::read(path)(error);
    };
    ArchiveError::invalid(path, format!("there is no such file; {hint}"))
}
