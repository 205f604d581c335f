//! The JSON documents that connect config and layers: the docker-archive's `manifest.json`, and the
//! OCI descriptor, manifest, index and layout file (OCI image-spec v1.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::descriptor::{Descriptor, OciPlatform};
use super::digest::DigestError;
use super::raw_index::RawIndex;
use super::{Digest, null};

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
    #[cfg(feature = "registry")]
    /// Docker's uncompressed layer; compressed layers append `.gzip`.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// An uncompressed layer; compressed layers append `+gzip` or `+zstd`.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
}

/// The annotation with the tag (`1.0`) in an OCI layout's index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with the reference in an OCI layout's index; containerd names images by it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// The annotation with the reference of the base image.
pub(crate) const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The annotation with the digest of the manifest of the base image.
pub(crate) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// An OCI image manifest, with digests of SHA-256 or, if `D` is text, of any algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "D: Deserialize<'de>"))]
pub struct OciManifest<D = Digest> {
    /// Always 2.
    #[serde(default, deserialize_with = "null::as_default")]
    pub schema_version: u32,
    /// [`media_type::MANIFEST`], if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image config.
    pub config: Descriptor<D>,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "null::as_default")]
    pub layers: Vec<Descriptor<D>>,
    /// Annotations; they are not read.
    #[serde(skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The type of an artifact that is not an image, such as a signature.
    #[serde(default, skip_serializing)]
    pub artifact_type: Option<String>,
    /// Whether it is about another manifest, such as a signature of it.
    #[serde(default, skip_serializing, rename = "subject", deserialize_with = "null::is_present")]
    pub has_subject: bool,
    /// Whether it has the `manifests` of an index.
    #[serde(
        default,
        skip_serializing,
        rename = "manifests",
        deserialize_with = "null::is_present"
    )]
    pub has_manifests: bool,
}

/// An OCI image index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawIndex")]
pub struct OciIndex {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`], if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Manifests, or further indexes.
    pub manifests: Vec<Descriptor>,
    /// Annotations; they are not read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Manifests and indexes that another algorithm than SHA-256 identifies.
    #[serde(skip)]
    pub unsupported: Vec<Descriptor<String>>,
    /// The type of the artifacts that it lists, if they are not images.
    #[serde(skip)]
    pub artifact_type: Option<String>,
    /// Whether it has the `config` of a manifest.
    #[serde(skip)]
    pub has_config: bool,
    /// Whether it has the `layers` of a manifest.
    #[serde(skip)]
    pub has_layers: bool,
}

impl TryFrom<RawIndex> for OciIndex {
    type Error = DigestError;

    fn try_from(mut raw: RawIndex) -> Result<Self, DigestError> {
        let (manifests, unsupported) = raw.entries()?;
        Ok(Self {
            schema_version: raw.schema_version,
            media_type: raw.media_type,
            manifests,
            annotations: BTreeMap::new(),
            unsupported,
            artifact_type: raw.artifact_type,
            has_config: raw.has_config,
            has_layers: raw.has_layers,
        })
    }
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
    /// An index of images, each with the annotations of its manifest. It has the annotations that
    /// all images share.
    pub(crate) fn of_images(images: Vec<(Descriptor, BTreeMap<String, String>)>) -> Self {
        let mut all = images.iter().map(|(_, annotations)| annotations);
        let mut shared = all.next().cloned().unwrap_or_default();
        all.for_each(|other| shared.retain(|name, value| other.get(name) == Some(value)));
        Self::new(images.into_iter().map(|(manifest, _)| manifest).collect(), shared)
    }

    /// An index of images.
    pub(crate) fn new(manifests: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests,
            annotations,
            unsupported: Vec::new(),
            artifact_type: None,
            has_config: false,
            has_layers: false,
        }
    }
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
