//! Recognizes image archives by their first member.

use std::fs::File;
use std::io;
use std::path::Path;

use super::blob::FileSlice;
use super::decompress::{Codec, CountingReader};
use super::tar::TarReader;

/// The first members of image archives besides layers, which come first in those that seatrial
/// writes.
const DOCUMENTS: [&[u8]; 4] = [b"oci-layout", b"index.json", b"manifest.json", b"repositories"];
/// The length of a SHA-256 digest in hexadecimal digits.
const DIGEST_LENGTH: usize = 64;

/// Whether the file at `path`, which may be compressed, begins like an image archive.
pub(crate) fn begins_like_image(path: &Path) -> io::Result<bool> {
    let file = FileSlice::whole(File::open(path)?)?;
    let plain = Codec::detect(&file)?.decode(file)?;
    let first = TarReader::new(CountingReader::new(plain)).next_member()?;
    Ok(first.is_some_and(|member| is_image_member(&member.path)))
}

/// Whether image archives have a member at `path`: documents, `blobs/...`, `.../layer.tar`, and
/// configs and layers that are named by their digest.
fn is_image_member(path: &[u8]) -> bool {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let (stem, ending) = path.split_at(path.len().min(DIGEST_LENGTH));
    let is_digest = stem.len() == DIGEST_LENGTH && stem.iter().all(u8::is_ascii_hexdigit);
    DOCUMENTS.contains(&path)
        || path.starts_with(b"blobs/")
        || path.ends_with(b"/layer.tar")
        || is_digest && matches!(ending, b"" | b"/" | b".json" | b".tar")
}
