//! Images in registries: which one a reference means, and its layers, which are fetched when they
//! are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::download::Document;
use super::kind::{Kind, check_types, kind};
use super::{Registries, RegistryError};
use crate::archive::oci::{
    LayoutWriter, annotations, named, parse_index, parse_manifest, select_platform,
};
use crate::archive::{
    ArchiveError, Image, ImageFormat, Limits, check_layer_count, pair_layers, parse_config,
};
use crate::image::manifest::{Descriptor, OciManifest, OciPlatform, media_type};
use crate::image::{Digest, Platform, Reference, RemoteReference};

/// The number of blobs that are fetched at the same time.
pub(super) const PARALLEL: usize = 6;
/// The most levels of nested indexes.
const DEPTH_MAX: usize = 4;

/// An image in a registry, for one platform.
#[derive(Clone, Debug)]
pub struct RemoteImage {
    /// The image. Reading a layer fetches it, unless it is cached.
    pub image: Image,
    /// The digest of the index or manifest that the reference names.
    pub digest: Digest,
    /// The digest of the manifest for the platform.
    pub manifest_digest: Digest,
    /// The number of bytes of each layer as stored.
    pub stored_sizes: Vec<u64>,
    /// The manifest as stored.
    pub(super) raw_manifest: Vec<u8>,
    pub(super) reference: RemoteReference,
    pub(super) manifest: OciManifest,
    /// The host that said what the reference means: the registry, or a mirror.
    pub(crate) host: String,
}

impl Registries {
    /// Opens the image that `reference` names, for `platform` if it has several. Fetches manifest
    /// and config, but no layer.
    ///
    /// # Errors
    /// If the registry cannot be reached, denies access, or has no such image; if the image is
    /// invalid or none for the platform.
    pub fn open(
        &self,
        reference: &RemoteReference,
        platform: &Platform,
        limits: Limits,
    ) -> Result<RemoteImage, RegistryError> {
        self.run(self.open_image(reference, platform, limits))
    }

    async fn open_image(
        &self,
        reference: &RemoteReference,
        platform: &Platform,
        limits: Limits,
    ) -> Result<RemoteImage, RegistryError> {
        let path = PathBuf::from(format!("docker://{reference}"));
        let (root, host) = self.document_and_host(reference).await?;
        let (digest, of_root) = (root.digest, annotations(&root.bytes));
        let (document, other_platforms) =
            self.manifest_in(&path, reference, root, platform).await?;
        let is_listed = document.digest != digest;
        let name = document.digest.to_string();
        let manifest = parse_manifest(&path, &name, &document.bytes)?;
        check_types(&path, &manifest)?;
        check_layer_count(&path, manifest.layers.len())?;
        let raw_config = self.blob_document(reference, &manifest.config).await?;
        let config = parse_config(&path, &raw_config)?;
        let stored = manifest.layers.iter().map(|layer| self.deferred(reference, layer)).collect();
        let layers = pair_layers(&path, &config, stored)?;
        let image = Image {
            path,
            format: ImageFormat::Registry,
            config,
            raw_config,
            manifest: Some(document.digest),
            annotations: annotations(&document.bytes),
            index_annotations: if is_listed { of_root } else { BTreeMap::new() },
            references: reference.familiar().into_iter().collect(),
            layers,
            limits,
            other_platforms,
        };
        let stored_sizes = manifest.layers.iter().map(|layer| layer.size).collect();
        let (reference, manifest_digest) = (reference.clone(), document.digest);
        let raw_manifest = document.bytes;
        Ok(RemoteImage {
            image,
            digest,
            manifest_digest,
            stored_sizes,
            raw_manifest,
            reference,
            manifest,
            host,
        })
    }

    /// The manifest of the image for `platform` in `root`, which is it or an index, and the other
    /// platforms of the index.
    async fn manifest_in(
        &self,
        path: &Path,
        reference: &RemoteReference,
        root: Document,
        platform: &Platform,
    ) -> Result<(Document, Vec<OciPlatform>), RegistryError> {
        let (mut document, mut others) = (root, Vec::new());
        for _ in 0..DEPTH_MAX {
            if kind(path, &document)? == Kind::Manifest {
                return Ok((document, others));
            }
            let index = parse_index(path, &document.digest.to_string(), &document.bytes)?;
            let platforms = index.manifests.iter().filter_map(|entry| entry.platform.clone());
            // Attestations are listed as images for an unknown platform.
            others.extend(platforms.filter(|platform| platform.os != "unknown"));
            let selected = select_platform(path, index.manifests, platform)?;
            others.retain(|platform| Some(platform) != selected.platform.as_ref());
            document = self.listed_document(reference, &selected).await?;
        }
        match kind(path, &document)? {
            Kind::Manifest => Ok((document, others)),
            Kind::Index => {
                let problem = format!("it has more than {DEPTH_MAX} levels of nested indexes");
                Err(RegistryError::invalid(path.display(), problem))
            }
        }
    }
}

impl RemoteImage {
    /// Writes the image as an OCI layout, the same byte for byte.
    ///
    /// # Errors
    /// If a layer cannot be fetched, or the layout cannot be written.
    pub(crate) fn write_layout<W: LayoutWriter>(
        &self,
        mut layout: W,
        reference: Option<&Reference>,
    ) -> Result<(), ArchiveError> {
        let config = &self.manifest.config;
        layout.blob(config.digest, config.size, &mut &*self.image.raw_config)?;
        for (layer, blob) in self.image.layers.iter().zip(&self.manifest.layers) {
            if !layout.has(blob.digest) {
                layout.blob(blob.digest, blob.size, &mut layer.bytes.clone())?;
            }
        }
        let size = self.raw_manifest.len() as u64;
        layout.blob(self.manifest_digest, size, &mut &*self.raw_manifest)?;
        let own = self.manifest.media_type.clone();
        let root = Descriptor {
            media_type: own.unwrap_or_else(|| media_type::MANIFEST.to_owned()),
            digest: self.manifest_digest,
            size,
            platform: Some(OciPlatform::from(&self.image.config)),
            artifact_type: None,
            annotations: None,
        };
        layout.finish(reference.map_or_else(|| root.clone(), |reference| named(&root, reference)))
    }

    /// The reference by which it was opened.
    pub fn reference(&self) -> &RemoteReference {
        &self.reference
    }
}
