//! The JSON documents that connect config and layers: the docker-archive's `manifest.json`, and the
//! OCI descriptor, manifest, index and layout file (OCI image-spec v1.1).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Digest, ImageConfig, Platform, null};

/// An image in a docker-archive's `manifest.json`, which is a list of images (moby `image/spec`,
/// "Combined Image JSON + Filesystem Changeset Format").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerManifest {
    /// The name of the config's member.
    #[serde(default, deserialize_with = "null::as_default")]
    pub config: String,
    /// References, written `name:tag`; missing or null for an untagged image.
    #[serde(default, deserialize_with = "null::in_list")]
    pub repo_tags: Vec<String>,
    /// The names of the layers' members, lowest first.
    #[serde(default, deserialize_with = "null::in_list")]
    pub layers: Vec<String>,
}

/// Media types (OCI image-spec, `media-types.md`), and Docker's media types for the same.
pub mod media_type {
    /// An OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// Docker's manifest list, read as an index.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// An OCI image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// Docker's manifest, read as an OCI manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// An image config.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// Docker's image config, read as an OCI config.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// An uncompressed layer; compressed layers append `+gzip` or `+zstd`.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
}

/// The annotation with the tag (`1.0`) in an OCI layout's index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with the reference in an OCI layout's index; containerd names images by it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// A reference to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The blob's type; for images, one of [`media_type`].
    #[serde(default, deserialize_with = "null::as_default")]
    pub media_type: String,
    /// The digest of the blob's bytes as stored.
    pub digest: Digest,
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
    /// How well an image for this platform suits `wanted`: 0 if exactly, more for lower variants;
    /// `None` if `wanted` cannot run it.
    pub fn rank_for(&self, wanted: &Platform) -> Option<u32> {
        let named: Platform = self.architecture.parse().ok()?;
        let is_linux = matches!(self.os.as_str(), "" | Platform::OS);
        if !is_linux || named.arch != wanted.arch {
            return None;
        }
        let own = self.variant.as_deref().filter(|variant| !variant.is_empty());
        wanted.rank_of_variant(own.or(named.variant.as_deref()))
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

/// An OCI image manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciManifest {
    /// Always 2.
    #[serde(default, deserialize_with = "null::as_default")]
    pub schema_version: u32,
    /// [`media_type::MANIFEST`], if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "null::as_default")]
    pub layers: Vec<Descriptor>,
    /// Annotations; they are not read.
    #[serde(skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The type of an artifact that is not an image, such as a signature.
    #[serde(default, skip_serializing)]
    pub artifact_type: Option<String>,
    /// Whether it is about another manifest, such as a signature of it.
    #[serde(default, skip_serializing, rename = "subject", deserialize_with = "is_present")]
    pub has_subject: bool,
    /// Whether it has the `manifests` of an index.
    #[serde(default, skip_serializing, rename = "manifests", deserialize_with = "is_present")]
    pub has_manifests: bool,
}

/// An OCI image index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciIndex {
    /// Always 2.
    #[serde(default, deserialize_with = "null::as_default")]
    pub schema_version: u32,
    /// [`media_type::INDEX`], if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Manifests, or further indexes.
    #[serde(default, deserialize_with = "null::as_default")]
    pub manifests: Vec<Descriptor>,
    /// Annotations; they are not read.
    #[serde(skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The type of the artifacts that it lists, if they are not images.
    #[serde(default, skip_serializing)]
    pub artifact_type: Option<String>,
    /// Whether it has the `config` of a manifest.
    #[serde(default, skip_serializing, rename = "config", deserialize_with = "is_present")]
    pub has_config: bool,
    /// Whether it has the `layers` of a manifest.
    #[serde(default, skip_serializing, rename = "layers", deserialize_with = "is_present")]
    pub has_layers: bool,
}

impl OciManifest {
    /// The manifest of an image.
    pub(crate) fn new(
        config: Descriptor,
        layers: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            config,
            layers,
            annotations,
            artifact_type: None,
            has_subject: false,
            has_manifests: false,
        }
    }
}

impl OciIndex {
    /// An index of images.
    pub(crate) fn new(manifests: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests,
            annotations,
            artifact_type: None,
            has_config: false,
            has_layers: false,
        }
    }
}

/// Whether there is a value other than null.
fn is_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

/// The content of `oci-layout`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OciLayout {
    /// The version of the layout's format.
    #[serde(default, deserialize_with = "null::as_default")]
    pub(crate) image_layout_version: String,
}

/// The content of an OCI layout's `oci-layout` file (OCI image-spec, `image-layout.md`).
pub const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
