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

/// The first bytes of files that are not images, what such a file is, and what to do.
const KINDS: &[(&[u8], &str, &str)] = &[
    (b"BZh", "a file compressed with bzip2", "decompress it with bunzip2"),
    (b"\x04\x22\x4d\x18", "a file compressed with lz4", "decompress it with lz4 -d"),
    (b"\x4c\x5a\x49\x50\x01", "a file compressed with lzip", "decompress it with lzip -d"),
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
    let size = file.len().min(HEAD_SIZE);
    let mut head = vec![0; size as usize];
    file.part(0, size).read_exact(&mut head)?;
    if head.is_empty() {
        return Ok("not an image: the file is empty".to_owned());
    }
    if let Some((_, kind, hint)) = KINDS.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Ok(format!("this is {kind}, not a tar archive; {hint}"));
    }
    if is_html(&head) {
        let hint = "check the address from which it was downloaded";
        return Ok(format!("this is a web page, not a tar archive; {hint}"));
    }
    Ok("not an image; expected a docker-archive or an OCI layout".to_owned())
}

fn is_html(head: &[u8]) -> bool {
    let text = head.trim_ascii_start().to_ascii_lowercase();
    [&b"<!doctype"[..], b"<html", b"<head", b"<?xml"].iter().any(|tag| text.starts_with(tag))
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
