//! The kind of a manifest, and whether it is that of an image.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::RegistryError;
use super::download::Document;
use crate::archive::oci::{is_index, is_manifest};
use crate::image::manifest::{OciManifest, media_type};
use crate::text;

/// The two kinds of documents that a reference can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Index,
    Manifest,
}

/// The parts of a document that show its kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
    #[serde(default)]
    config: Option<IgnoredAny>,
}

/// The media type that a document has itself.
pub(super) fn own_type(bytes: &[u8]) -> Option<String> {
    serde_json::from_slice::<Typed>(bytes).ok()?.media_type.filter(|own| !own.is_empty())
}

/// Whether `document` is an index or a manifest: by its own media type, or else by the one that the
/// registry sent with it.
pub(super) fn kind(path: &Path, document: &Document) -> Result<Kind, RegistryError> {
    let invalid = |problem: String| RegistryError::invalid(path.display(), problem);
    let typed: Typed = serde_json::from_slice(&document.bytes)
        .map_err(|error| invalid(format!("its manifest is not JSON: {error}")))?;
    let announced = Some(document.media_type.clone()).filter(|sent| !sent.is_empty());
    match typed.media_type.clone().or(announced).as_deref() {
        Some(sent) if is_index(sent) => Ok(Kind::Index),
        Some(sent) if is_manifest(sent) => Ok(Kind::Manifest),
        None | Some("application/json" | "application/octet-stream") => match typed {
            Typed { manifests: Some(_), config: None, .. } => Ok(Kind::Index),
            Typed { config: Some(_), .. } => Ok(Kind::Manifest),
            _ => Err(invalid("its manifest has no media type, config or manifests".to_owned())),
        },
        Some(other) => Err(invalid(format!(
            "its manifest has the media type {}, which is not supported; expected an OCI image or \
             index, or Docker's of schema 2",
            text::quote(other)
        ))),
    }
}

/// Checks that `manifest` is an image with layers that can be read.
pub(super) fn check_types(path: &Path, manifest: &OciManifest) -> Result<(), RegistryError> {
    let invalid = |problem: String| Err(RegistryError::invalid(path.display(), problem));
    let config = &manifest.config.media_type;
    let configs = [media_type::CONFIG, media_type::DOCKER_CONFIG, "application/octet-stream", ""];
    let artifact = manifest.artifact_type.as_ref().unwrap_or(config);
    if !configs.contains(&artifact.as_str()) || !configs.contains(&config.as_str()) {
        return invalid(format!("it is not an image, but an artifact of the type {artifact}"));
    }
    let unreadable = manifest.layers.iter().map(|layer| layer.media_type.as_str()).find(|kind| {
        // Docker's types have a dot, OCI's a plus sign.
        let known = [".tar", ".tar.gzip", ".tar.zstd", ".tar+gzip", ".tar+zstd"];
        !kind.is_empty() && !known.iter().any(|end| kind.ends_with(end))
    });
    match unreadable {
        None => Ok(()),
        Some(kind) => invalid(format!(
            "it has a layer of the media type {}; only tars can be read, plain or compressed with \
             gzip or zstd",
            text::quote(kind)
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // OCI image-spec, `layer.md` and `media-types.md`; containerd `core/images/mediatypes.go`.
    #[test]
    fn layers_are_tars_plain_or_in_gzip_or_zstd() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let is_readable = |kind: &str| {
            let config = json!({ "mediaType": media_type::CONFIG, "digest": digest, "size": 1 });
            let layers = json!([{ "mediaType": kind, "digest": digest, "size": 1 }]);
            let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
            check_types(Path::new("x"), &serde_json::from_value(manifest).unwrap()).is_ok()
        };
        for kind in [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
        ] {
            assert!(is_readable(kind), "{kind}");
        }
        for kind in [
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "application/vnd.erofs.layer.v1",
            "application/vnd.in-toto+json",
        ] {
            assert!(!is_readable(kind), "{kind}");
        }
    }
}
