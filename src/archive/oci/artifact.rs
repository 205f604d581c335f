//! Which manifests are images, and which are signatures, attestations, bills of materials or other
//! artifacts (OCI image-spec v1.1, `manifest.md`, "Guidelines for Artifact Usage").

use crate::image::manifest::{Descriptor, OciManifest, media_type};

/// The platform that BuildKit gives to attestations.
const UNKNOWN: &str = "unknown";
/// The annotation that BuildKit gives to attestations.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// Suffixes of the tags that cosign gives to artifacts about an image.
const COSIGN_SUFFIXES: [&str; 4] = ["", ".sig", ".att", ".sbom"];

/// Whether an index lists `descriptor` as something else than an image.
pub(crate) fn is_artifact_descriptor(descriptor: &Descriptor, name: Option<&str>) -> bool {
    let of_unknown_platform = descriptor
        .platform
        .as_ref()
        .is_some_and(|platform| platform.os == UNKNOWN || platform.architecture == UNKNOWN);
    let has_reference =
        descriptor.annotations.as_ref().is_some_and(|all| all.contains_key(REFERENCE_TYPE));
    of_unknown_platform
        || has_reference
        || is_artifact_type(descriptor.artifact_type.as_deref())
        || name.is_some_and(is_cosign_name)
}

/// Whether an `artifactType` says that something is not an image.
pub(super) fn is_artifact_type(artifact_type: Option<&str>) -> bool {
    !artifact_type.is_none_or(is_image_config)
}

/// Whether `manifest` is an artifact: its config or one of its layers is not that of an image.
pub(super) fn is_artifact<D>(manifest: &OciManifest<D>) -> bool {
    is_artifact_type(manifest.artifact_type.as_deref())
        || !is_image_config(&manifest.config.media_type)
        || !manifest.layers.iter().all(|layer| is_layer(&layer.media_type))
}

/// Old registries gave image configs the type `application/octet-stream`.
fn is_image_config(media_type: &str) -> bool {
    matches!(
        media_type,
        media_type::CONFIG | media_type::DOCKER_CONFIG | "application/octet-stream" | ""
    )
}

/// All layer types of OCI and Docker contain `.tar`, also compressed and foreign ones. Signatures
/// of cosign have an image's config, but JSON in the place of layers.
fn is_layer(media_type: &str) -> bool {
    media_type.is_empty() || media_type.contains(".tar")
}

/// Whether `name` is `sha256-` and a digest, with a suffix of cosign or without: the tag of
/// artifacts about the image with that digest.
fn is_cosign_name(name: &str) -> bool {
    let tag = name.rsplit(':').next().unwrap_or(name);
    let Some(rest) = tag.strip_prefix("sha256-") else {
        return false;
    };
    let is_hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    COSIGN_SUFFIXES.iter().any(|suffix| rest.strip_suffix(suffix).is_some_and(is_hex))
}
