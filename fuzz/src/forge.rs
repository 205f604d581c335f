//! Images from a text that a fuzzer can change without breaking their digests.
//!
//! The text lists members, each introduced by a line; digests and sizes are filled in:
//!
//! ```text
//! === layer.tar gzip
//! (a tar, whose checksums are repaired, and which is then compressed)
//! === config.json
//! {"architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:$0"]}}
//! === manifest.json
//! [{"Config": "config.json", "Layers": ["layer.tar"]}]
//! ```
//!
//! In names and in JSON documents, `@N` is the digest of the N-th member as stored, `$N` its digest
//! before compression, and `#N` its size as stored. In its own name, `@` alone is its own digest.
//! A word `gzip`, `zstd` or `xz` behind the name compresses the member; `-> TARGET` makes it a
//! symlink, `=> TARGET` a hard link.

use std::io::Write;

use sha2::{Digest, Sha256};

use crate::rawtar;

/// The most members that are read.
const MEMBERS_MAX: usize = 64;

/// A file of the image.
#[derive(Debug)]
pub struct Member {
    /// Its name, unchecked.
    pub name: Vec<u8>,
    /// Its type in a tar.
    pub kind: u8,
    /// The target of a link.
    pub link: Vec<u8>,
    /// Its bytes as stored.
    pub stored: Vec<u8>,
    digest: String,
    plain_digest: String,
}

/// Reads the members that `text` lists.
pub fn members(text: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    for part in split(text).into_iter().take(MEMBERS_MAX) {
        let member = member(part, &members);
        members.push(member);
    }
    members
}

/// Writes `members` as a tar.
pub fn tar(members: &[Member]) -> Vec<u8> {
    let mut tar = Vec::new();
    for member in members {
        rawtar::append(&mut tar, &member.name, member.kind, &member.link, &member.stored);
    }
    rawtar::end(&mut tar);
    tar
}

/// Splits `text` at each line that begins with `=== `; the parts lack these four bytes.
fn split(text: &[u8]) -> Vec<&[u8]> {
    const MARK: &[u8] = b"\n=== ";
    let mut parts = Vec::new();
    let mut rest = text.strip_prefix(&MARK[1..]).unwrap_or(text);
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        parts.push(&rest[..at]);
        rest = &rest[at + MARK.len()..];
    }
    parts.push(rest);
    parts
}

fn member(part: &[u8], earlier: &[Member]) -> Member {
    let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
    let (line, content) = (&part[..end], part.get(end + 1..).unwrap_or_default());
    let mut words = line.splitn(2, |byte| *byte == b' ');
    let (name, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut plain = content.to_vec();
    if content.trim_ascii_start().first().is_some_and(|byte| b"{[".contains(byte)) {
        plain = filled_in(content, earlier, None);
    } else {
        rawtar::repair(&mut plain);
    }
    let stored = match rest {
        b"gzip" => gzip(&plain),
        b"zstd" => zstd::encode_all(&plain[..], 1).unwrap_or_default(),
        b"xz" => xz(&plain),
        _ => plain.clone(),
    };
    let (kind, link) = match (rest.strip_prefix(b"-> "), rest.strip_prefix(b"=> ")) {
        (Some(target), _) => (b'2', filled_in(target, earlier, None)),
        (_, Some(target)) => (b'1', filled_in(target, earlier, None)),
        _ => (b'0', Vec::new()),
    };
    let (digest, plain_digest) = (hex256(&stored), hex256(&plain));
    let name = filled_in(name, earlier, Some(&digest));
    let stored = if kind == b'0' { stored } else { Vec::new() };
    Member { name, kind, link, stored, digest, plain_digest }
}

/// Replaces `@N`, `$N` and `#N`, and `@` alone by `own`.
fn filled_in(text: &[u8], earlier: &[Member], own: Option<&str>) -> Vec<u8> {
    let mut filled = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        let number = text.get(at).filter(|next| next.is_ascii_digit()).map(|next| next - b'0');
        let named = number.and_then(|number| earlier.get(usize::from(number)));
        match (byte, named, own) {
            (b'@', Some(member), _) => filled.extend_from_slice(member.digest.as_bytes()),
            (b'$', Some(member), _) => filled.extend_from_slice(member.plain_digest.as_bytes()),
            (b'#', Some(member), _) => {
                filled.extend_from_slice(member.stored.len().to_string().as_bytes());
            }
            (b'@', None, Some(own)) => {
                filled.extend_from_slice(own.as_bytes());
                continue;
            }
            _ => {
                filled.push(byte);
                continue;
            }
        }
        at += 1;
    }
    filled
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

fn hex256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
