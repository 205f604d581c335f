//! An OCI index as written: its entries may have digests of other algorithms than SHA-256.

use serde::Deserialize;

use super::descriptor::Descriptor;
use super::digest::DigestError;
use super::{Digest, null};

/// An index whose digests have not been parsed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawIndex {
    #[serde(default, deserialize_with = "null::as_default")]
    pub(super) schema_version: u32,
    #[serde(default)]
    pub(super) media_type: Option<String>,
    #[serde(default, deserialize_with = "null::as_default")]
    manifests: Vec<Descriptor<String>>,
    #[serde(default)]
    pub(super) artifact_type: Option<String>,
    #[serde(default, rename = "config", deserialize_with = "null::is_present")]
    pub(super) has_config: bool,
    #[serde(default, rename = "layers", deserialize_with = "null::is_present")]
    pub(super) has_layers: bool,
}

impl RawIndex {
    /// The entries with digests of SHA-256, and the others.
    pub(super) fn entries(
        &mut self,
    ) -> Result<(Vec<Descriptor>, Vec<Descriptor<String>>), DigestError> {
        let (mut supported, mut unsupported) = (Vec::new(), Vec::new());
        for entry in std::mem::take(&mut self.manifests) {
            match entry.digest.parse::<Digest>() {
                Ok(digest) => supported.push(entry.with_digest(digest)),
                Err(_) if has_other_algorithm(&entry.digest) => unsupported.push(entry),
                Err(error) => return Err(error),
            }
        }
        Ok((supported, unsupported))
    }
}

/// Whether `digest` is one of another algorithm than SHA-256 (OCI image-spec, `descriptor.md`,
/// "Digests").
fn has_other_algorithm(digest: &str) -> bool {
    let Some((algorithm, encoded)) = digest.split_once(':') else { return false };
    let is_part = |part: &str| {
        let is_valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        !part.is_empty() && part.bytes().all(is_valid)
    };
    let is_encoded = |b: u8| b.is_ascii_alphanumeric() || b"=_-".contains(&b);
    algorithm != "sha256"
        && algorithm.split(['+', '.', '_', '-']).all(is_part)
        && !encoded.is_empty()
        && encoded.bytes().all(is_encoded)
}
