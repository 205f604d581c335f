//! The OCI descriptor (OCI image-spec v1.1, `descriptor.md`), and the platform in it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Digest, ImageConfig, Platform, null};

/// A reference to a blob, by a digest of SHA-256 or, if `D` is text, of any algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor<D = Digest> {
    /// The blob's type; for images, one of [`media_type`](super::manifest::media_type).
    #[serde(default, deserialize_with = "null::as_default")]
    pub media_type: String,
    /// The digest of the blob's bytes as stored.
    pub digest: D,
    /// The blob's size in bytes as stored.
    #[serde(default, deserialize_with = "null::as_default")]
    pub size: u64,
    /// The platform of the image, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<OciPlatform>,
    /// The type of an artifact that is not an image, such as a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "null::in_optional_map"
    )]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    /// The descriptor of a blob, without a platform or annotations.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            annotations: None,
        }
    }
}

/// The `platform` of a descriptor. It is text, because an index may have the platform `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OciPlatform {
    /// The CPU architecture, as GOARCH.
    #[serde(default, deserialize_with = "null::as_default")]
    pub architecture: String,
    /// The operating system, as GOOS; empty means Linux.
    #[serde(default, deserialize_with = "null::as_default")]
    pub os: String,
    /// The CPU variant, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl From<&Platform> for OciPlatform {
    fn from(platform: &Platform) -> Self {
        Self {
            architecture: platform.arch.goarch().to_owned(),
            os: Platform::OS.to_owned(),
            variant: platform.variant.clone(),
        }
    }
}

impl From<&ImageConfig> for OciPlatform {
    fn from(config: &ImageConfig) -> Self {
        Self {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
        }
    }
}

impl OciPlatform {
    /// How well an image for this platform suits `wanted`: 0 if exactly, more for lower variants
    /// and for 32-bit platforms; `None` if `wanted` cannot run it.
    pub fn rank_for(&self, wanted: &Platform) -> Option<u32> {
        let named: Platform = self.architecture.parse().ok()?;
        let is_linux = matches!(self.os.as_str(), "" | Platform::OS);
        if !is_linux {
            return None;
        }
        let own = self.variant.as_deref().filter(|variant| !variant.is_empty());
        wanted.rank_of(named.arch, own.or(named.variant.as_deref()))
    }

    /// Whether `wanted` cannot run an image whose config has this platform. A config without a
    /// variant, which many builders write only into the index, fits every variant.
    pub(crate) fn rules_out(&self, wanted: &Platform) -> bool {
        let fitting = match self.variant.as_deref().unwrap_or_default() {
            "" => OciPlatform { variant: wanted.variant.clone(), ..self.clone() },
            _ => self.clone(),
        };
        let fits = self.rank_for(wanted).or(fitting.rank_for(wanted)).is_some();
        !self.architecture.is_empty() && !fits
    }
}

impl OciPlatform {
    /// The number of bytes of all its parts.
    pub(crate) fn text_length(&self) -> usize {
        let variant = self.variant.as_deref().unwrap_or_default();
        self.os.len() + self.architecture.len() + variant.len()
    }
}

impl fmt::Display for OciPlatform {
    /// Writes `os/architecture[/variant]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let os = if self.os.is_empty() { Platform::OS } else { &self.os };
        write!(f, "{os}/{}", self.architecture)?;
        let variant = self.variant.iter().filter(|variant| !variant.is_empty());
        variant.into_iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl<D> Descriptor<D> {
    /// The same descriptor with another digest.
    pub(crate) fn with_digest<E>(self, digest: E) -> Descriptor<E> {
        let Self { media_type, size, platform, artifact_type, annotations, .. } = self;
        Descriptor { media_type, digest, size, platform, artifact_type, annotations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_without_a_variant_fits_every_variant() {
        for (os, architecture, variant, wanted, expected) in [
            ("linux", "arm", None, "arm/v6", false),
            ("", "arm64", Some(""), "arm64/v9", false),
            ("linux", "arm", Some("v7"), "arm/v6", true),
            ("linux", "arm", Some("v6"), "arm/v7", false),
            ("linux", "amd64", None, "arm64", true),
            ("windows", "amd64", None, "amd64", true),
            ("", "", None, "amd64", false),
        ] {
            let (os, architecture) = (os.to_owned(), architecture.to_owned());
            let own = OciPlatform { os, architecture, variant: variant.map(str::to_owned) };
            assert_eq!(own.rules_out(&wanted.parse().unwrap()), expected, "{own} on {wanted}");
        }
    }
}
