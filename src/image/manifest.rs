//! The small JSON documents that tie config and layers together: the docker-archive's `manifest.json`,
//! and the OCI descriptor, manifest, index and layout file (OCI image-spec v1.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, Platform};

/// One image in a docker-archive's `manifest.json`, which is a list of these
/// (moby `image/spec`, "Combined Image JSON + Filesystem Changeset Format").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerManifest {
    /// The config's member name.
    pub config: String,
    /// `name:tag` texts; absent or null for an untagged image.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub repo_tags: Vec<String>,
    /// The layers' member names, bottom first.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub layers: Vec<String>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Media types (OCI image-spec, `media-types.md`) and the Docker ones they are interchangeable with.
pub mod media_type {
    /// An OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// Docker's manifest list, read like an index.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// An OCI image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// Docker's manifest, read like an OCI one.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// An image config.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// An uncompressed layer; `+gzip` and `+zstd` are appended for compressed ones.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
}

/// Annotation that holds a tag (`1.0`) in an OCI layout's index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation that holds a whole reference in an OCI layout's index; containerd names images by it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// A pointer to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is; one of [`media_type`].
    pub media_type: String,
    /// The digest of the blob's bytes as stored.
    pub digest: Digest,
    /// The blob's size in bytes as stored.
    pub size: u64,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<OciPlatform>,
    /// Names and notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The `platform` of a descriptor. NamedVm as text: an index written by others may say `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OciPlatform {
    /// GOARCH.
    pub architecture: String,
    /// GOOS.
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
    /// [`media_type::MANIFEST`] where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
}

/// An OCI image index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciIndex {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`] where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests, or further indexes.
    pub manifests: Vec<Descriptor>,
}

/// The text of an OCI layout's `oci-layout` file (OCI image-spec, `image-layout.md`).
pub const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
