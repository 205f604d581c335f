//! Recognizes image archives that seatrial has written, by their first member.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::blob::FileSlice;
use super::decompress::Codec;
use super::header::BLOCK;
use super::write::member_header;

/// The first members of archives that have no layers, or are OCI layouts.
const DOCUMENTS: [&str; 3] = ["oci-layout", "index.json", "manifest.json"];
/// The length of a SHA-256 digest in hexadecimal digits.
const DIGEST_LENGTH: usize = 64;

/// Whether the file at `path`, which may be compressed, begins like an image archive that seatrial
/// has written: other programs write other headers.
pub(crate) fn is_own_image(path: &Path) -> io::Result<bool> {
    let file = FileSlice::whole(File::open(path)?)?;
    let mut block = [0; BLOCK as usize];
    Codec::detect(&file)?.decode(file)?.read_exact(&mut block)?;
    let header = ::tar::Header::from_byte_slice(&block);
    let (name, size) = (header.path_bytes(), header.size()?);
    let name = std::str::from_utf8(&name).unwrap_or_default();
    Ok(is_image_member(name) && member_header(name, size) == block)
}

/// Whether image archives begin with a member at `path`: a document, a layer, or a config that is
/// named by its digest.
fn is_image_member(path: &str) -> bool {
    let is_digest = |text: &str| {
        text.len() == DIGEST_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    DOCUMENTS.contains(&path)
        || path.ends_with("/layer.tar")
        || path.strip_suffix(".json").is_some_and(is_digest)
}
