//! The JSON documents that connect config and layers: the docker-archive's `manifest.json`, and the
//! OCI descriptor, manifest, index and layout file (OCI image-spec v1.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, Platform};

/// An image in a docker-archive's `manifest.json`, which is a list of images (moby `image/spec`,
/// "Combined Image JSON + Filesystem Changeset Format").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerManifest {
    /// The name of the config's member.
    pub config: String,
    /// References, written `name:tag`; missing or null for an untagged image.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub repo_tags: Vec<String>,
    /// The names of the layers' members, lowest first.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub layers: Vec<String>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
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
    /// The blob's type; one of [`media_type`].
    pub media_type: String,
    /// The digest of the blob's bytes as stored.
    pub digest: Digest,
    /// The blob's size in bytes as stored.
    pub size: u64,
    /// The platform of the image, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<OciPlatform>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The `platform` of a descriptor. It is text, because an index may have the platform `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OciPlatform {
    /// The CPU architecture, as GOARCH.
    pub architecture: String,
    /// The operating system, as GOOS.
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

/// An OCI image manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciManifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::MANIFEST`], if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// An OCI image index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciIndex {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`], if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Manifests, or further indexes.
    pub manifests: Vec<Descriptor>,
}

/// The content of an OCI layout's `oci-layout` file (OCI image-spec, `image-layout.md`).
pub const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
