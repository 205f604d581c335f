//! The JSON documents of an OCI layout, each checked against the descriptor that names it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::layout::{INDEX, LAYOUT, blob_name};
use crate::archive::ArchiveError;
use crate::archive::image::check_digest;
use crate::archive::image_files::ImageFiles;
use crate::archive::json;
use crate::image::manifest::{Descriptor, OciIndex, OciLayout, OciManifest, media_type};
use crate::image::schema;
use crate::text;

/// The first part of all versions of the layout's format that are compatible with 1.0.0.
const LAYOUT_VERSION: &str = "1.";

/// The documents of a layout.
#[derive(Clone, Copy)]
pub(super) struct Documents<'a> {
    /// The file or folder, for messages.
    pub(super) path: &'a Path,
    pub(super) files: &'a ImageFiles,
}

impl Documents<'_> {
    pub(super) fn invalid(&self, problem: impl Into<String>) -> ArchiveError {
        ArchiveError::invalid(self.path, problem)
    }

    /// Checks the file that marks a layout, and parses `index.json`.
    pub(super) fn root_index(&self) -> Result<OciIndex, ArchiveError> {
        let layout = self.files.document(self.path, LAYOUT)?;
        let layout: OciLayout = json::parse(self.path, LAYOUT, &layout, schema::OCI_LAYOUT)?;
        let version = layout.image_layout_version;
        if !version.starts_with(LAYOUT_VERSION) {
            let problem =
                format!("{LAYOUT}: unknown version {}; expected \"1.0.0\"", text::quote(&version));
            return Err(self.invalid(problem));
        }
        self.index(INDEX, &self.files.document(self.path, INDEX)?)
    }

    /// The index that `descriptor` names, if the layout has it: layouts may lack the blobs of some
    /// platforms.
    pub(super) fn nested_index(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<OciIndex>, ArchiveError> {
        let bytes = self.blob_if_present(descriptor)?;
        bytes.map(|bytes| self.index(&blob_name(descriptor.digest), &bytes)).transpose()
    }

    fn index(&self, name: &str, bytes: &[u8]) -> Result<OciIndex, ArchiveError> {
        parse_index(self.path, name, bytes)
    }

    /// The manifest that `descriptor` names, if the layout has it.
    pub(super) fn manifest_if_present(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<OciManifest>, ArchiveError> {
        let Some(bytes) = self.blob_if_present(descriptor)? else {
            return Ok(None);
        };
        parse_manifest(self.path, &blob_name(descriptor.digest), &bytes).map(Some)
    }

    /// The same with unparsed digests: an image that is not selected may have digests of another
    /// algorithm than SHA-256.
    pub(super) fn listed_manifest(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<OciManifest<String>>, ArchiveError> {
        let Some(bytes) = self.blob_if_present(descriptor)? else {
            return Ok(None);
        };
        parse_any_manifest(self.path, &blob_name(descriptor.digest), &bytes).map(Some)
    }

    /// Reads a small blob and checks its size and digest.
    pub(super) fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ArchiveError> {
        let blob = self.blob_if_present(descriptor)?;
        blob.ok_or_else(|| self.invalid(format!("{} is missing", blob_name(descriptor.digest))))
    }

    /// Reads a small blob, if the layout has it, and checks its size and digest.
    pub(super) fn blob_if_present(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        let name = blob_name(descriptor.digest);
        let Some(bytes) = self.files.document_if_present(self.path, &name)? else {
            return Ok(None);
        };
        check_digest(self.path, &name, &bytes, descriptor.digest)?;
        self.check_size(&name, bytes.len() as u64, descriptor.size)?;
        Ok(Some(bytes))
    }

    /// Checks the size of a blob against its descriptor.
    pub(super) fn check_size(
        &self,
        name: &str,
        found: u64,
        expected: u64,
    ) -> Result<(), ArchiveError> {
        if found == expected {
            return Ok(());
        }
        let problem =
            format!("{name} has {found} bytes, but {expected} according to its descriptor");
        Err(self.invalid(problem))
    }
}

/// Parses the index `bytes` of the image at `image`; messages call it `name`.
pub(crate) fn parse_index(
    image: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<OciIndex, ArchiveError> {
    let index: OciIndex = json::parse(image, name, bytes, schema::OCI_INDEX)?;
    let of_manifest = index.media_type.as_deref().is_some_and(is_manifest);
    if index.has_config || index.has_layers || of_manifest {
        let problem = "an index with the keys or the media type of a manifest; engines read it \
                       differently";
        return Err(ArchiveError::invalid(image, format!("{name}: {problem}")));
    }
    Ok(index)
}

/// The annotations of the index or manifest `bytes`, as far as they can be read.
pub(crate) fn annotations(bytes: &[u8]) -> BTreeMap<String, String> {
    #[derive(Default, Deserialize)]
    struct Annotated {
        #[serde(default)]
        annotations: BTreeMap<String, String>,
    }
    serde_json::from_slice::<Annotated>(bytes).unwrap_or_default().annotations
}

/// Parses the manifest `bytes` of the image at `image`; messages call it `name`.
pub(crate) fn parse_manifest(
    image: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<OciManifest, ArchiveError> {
    parse_any_manifest(image, name, bytes)
}

fn parse_any_manifest<D: DeserializeOwned>(
    image: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<OciManifest<D>, ArchiveError> {
    let manifest: OciManifest<D> = json::parse(image, name, bytes, schema::OCI_MANIFEST)?;
    let of_index = manifest.media_type.as_deref().is_some_and(is_index);
    if manifest.has_manifests || of_index {
        let problem = "a manifest with the keys or the media type of an index; engines read it \
                       differently";
        return Err(ArchiveError::invalid(image, format!("{name}: {problem}")));
    }
    Ok(manifest)
}

/// Whether `media_type` is that of a list of manifests.
pub(crate) fn is_index(media_type: &str) -> bool {
    matches!(media_type, media_type::INDEX | media_type::DOCKER_LIST)
}

/// Whether `media_type` is that of the manifest of an image or artifact.
pub(crate) fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, media_type::MANIFEST | media_type::DOCKER_MANIFEST)
}
