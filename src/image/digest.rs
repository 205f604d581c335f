//! Digests: a [`Digest`] identifies bytes as stored, a [`DiffId`] the uncompressed tar of a layer.
//!
//! SHA-256 is the only algorithm, because it is the one that every engine supports (OCI image-spec,
//! `descriptor.md`, "Registered algorithms").

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::text;

/// A SHA-256 digest, written `sha256:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid digest {}; expected sha256: and 64 lower-case hex digits", text::quote(.0))]
pub struct DigestError(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of everything that is left in `source`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_reader(source: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        hasher.update_from(source)?;
        Ok(hasher.finish())
    }

    /// The 64 hex digits, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Parses 64 lower-case hex digits.
    ///
    /// # Errors
    /// If `text` is anything else.
    pub fn from_hex(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err(DigestError(text.to_owned())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.strip_prefix("sha256:")
            .and_then(|hex| Self::from_hex(hex).ok())
            .ok_or_else(|| DigestError(text.to_owned()))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The digest of a layer's uncompressed tar, as `rootfs.diff_ids` lists it
/// (OCI image-spec, `config.md`, "Layer DiffID").
///
/// Equal to the blob's [`Digest`] exactly when the blob is stored uncompressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns the chain IDs of layers, lowest first. Each identifies a layer together with those below
/// it (OCI image-spec, `config.md`, "Layer ChainID").
#[cfg(feature = "vm")]
pub(crate) fn chain_ids(diff_ids: &[DiffId]) -> Vec<String> {
    let mut chain_ids: Vec<String> = Vec::new();
    for diff_id in diff_ids {
        let chain_id = match chain_ids.last() {
            None => diff_id.to_string(),
            Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()).to_string(),
        };
        chain_ids.push(chain_id);
    }
    chain_ids
}

/// The number of bytes that are read and hashed at a time.
const BUFFER_SIZE: usize = 256 << 10;

/// Computes a [`Digest`] over bytes that arrive in pieces.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds everything that is left in `source`, and returns the number of bytes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn update_from(&mut self, source: impl Read) -> io::Result<u64> {
        io::copy(&mut BufReader::with_capacity(BUFFER_SIZE, source), self)
    }

    /// Returns the digest of all bytes, and resets the hasher.
    pub fn finish(&mut self) -> Digest {
        Digest(self.0.finalize_reset().into())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "vm")]
    #[test]
    fn a_chain_id_is_the_digest_of_the_chain_id_below_and_the_diff_id() {
        let diff_ids = [b"a", b"b", b"c"].map(|layer| DiffId(Digest::of(layer)));
        let chain_ids = chain_ids(&diff_ids);
        // printf '%s %s' "$below" "$diff_id" | sha256sum
        let expected = Digest::of(format!("{} {}", diff_ids[0], diff_ids[1]).as_bytes());
        assert_eq!(chain_ids[..2], [diff_ids[0].to_string(), expected.to_string()]);
        let expected = Digest::of(format!("{expected} {}", diff_ids[2]).as_bytes());
        assert_eq!(chain_ids[2], expected.to_string());
    }

    // FIPS 180-4 example: SHA-256 of "abc".
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_digest_of_a_known_text_is_the_published_one() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish().to_string(), ABC);
        assert_eq!(Digest::of_reader(&b"abc"[..]).unwrap().to_string(), ABC);
    }

    #[test]
    fn invalid_digests_are_rejected() {
        let upper = ABC.to_uppercase().replace("SHA256", "sha256");
        for text in ["", "sha256:", "sha512:00", &ABC[7..], &ABC[..70], &upper] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
