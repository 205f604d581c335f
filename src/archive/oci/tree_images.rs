//! The images in a tree of manifests.

use std::collections::BTreeMap;

use super::artifact::{is_artifact, is_artifact_descriptor};
use super::blobs::Layout;
use super::named::named;
use super::tree::{ImageTree, TreeDocument};
use crate::archive::blob::FileSlice;
use crate::archive::image::{Image, ImageFormat, StoredLayer, check_digest, pair_layers};
use crate::archive::image_files::{DOCUMENT_MAX, parse_config};
use crate::archive::{ArchiveError, Limits};
use crate::image::manifest::{Descriptor, OciManifest};
use crate::image::{Digest, Reference};

impl ImageTree {
    /// The manifests of images, without signatures, attestations and other artifacts.
    fn manifests(&self) -> impl Iterator<Item = (&Descriptor, &OciManifest)> {
        self.documents.iter().filter_map(|TreeDocument { descriptor, manifest, .. }| {
            let manifest = manifest.as_ref()?;
            let other = is_artifact_descriptor(descriptor, None) || is_artifact(manifest);
            (!other && !manifest.has_subject).then_some((descriptor, manifest))
        })
    }

    /// The number of images, without signatures, attestations and other artifacts.
    pub(crate) fn image_count(&self) -> usize {
        self.manifests().count()
    }

    /// The platforms of the images, as far as an index lists them.
    pub(crate) fn platforms(&self) -> Vec<String> {
        let platforms = self.manifests().filter_map(|(descriptor, _)| descriptor.platform.as_ref());
        platforms.map(ToString::to_string).collect()
    }

    /// Whether the layers of all images are compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        let mut layers = self.manifests().flat_map(|(_, manifest)| &manifest.layers);
        layers.all(|layer| ["gzip", "zstd"].iter().any(|end| layer.media_type.ends_with(end)))
    }

    /// Opens the images.
    ///
    /// # Errors
    /// If a config is invalid or does not match its digest.
    pub(crate) fn images(&self, limits: Limits) -> Result<Vec<Image>, ArchiveError> {
        let blobs = self.blobs.iter().map(|blob| (blob.descriptor.digest, &blob.bytes));
        let blobs: BTreeMap<Digest, &FileSlice> = blobs.collect();
        let open = |(descriptor, manifest): (&Descriptor, &OciManifest)| {
            self.image(descriptor.digest, manifest, &blobs, limits)
        };
        let images: Vec<Image> = self.manifests().map(open).collect::<Result<_, _>>()?;
        match images.is_empty() {
            true => Err(self.invalid("it is not an image, but a signature or another artifact")),
            false => Ok(images),
        }
    }

    fn image(
        &self,
        digest: Digest,
        manifest: &OciManifest,
        blobs: &BTreeMap<Digest, &FileSlice>,
        limits: Limits,
    ) -> Result<Image, ArchiveError> {
        let blob = |descriptor: &Descriptor| {
            let bytes = blobs.get(&descriptor.digest);
            bytes.copied().cloned().ok_or_else(|| self.lacks(descriptor))
        };
        let config = blob(&manifest.config)?.read_small(DOCUMENT_MAX);
        let raw_config = config.map_err(ArchiveError::read(&self.path))?;
        let raw_config = raw_config.ok_or_else(|| {
            self.invalid(format!("the config is larger than {} MiB", DOCUMENT_MAX >> 20))
        })?;
        check_digest(&self.path, "the config", &raw_config, manifest.config.digest)?;
        let config = parse_config(&self.path, &raw_config)?;
        let stored = manifest.layers.iter().map(|layer| {
            Ok(StoredLayer {
                name: layer.digest.to_string(),
                bytes: blob(layer)?,
                digest: Some(layer.digest),
                media_type: Some(layer.media_type.clone()),
            })
        });
        let stored = stored.collect::<Result<Vec<_>, ArchiveError>>()?;
        let layers = pair_layers(&self.path, &config, stored)?;
        Ok(Image {
            path: self.path.clone(),
            format: ImageFormat::OciLayout,
            config,
            raw_config,
            manifest: Some(digest),
            references: Vec::new(),
            layers,
            limits,
            annotations: BTreeMap::new(),
            index_annotations: BTreeMap::new(),
            other_platforms: Vec::new(),
        })
    }

    /// The tree as a layout that lists it as `reference`.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub(crate) fn into_layout(self, reference: Option<&Reference>) -> Result<Layout, ArchiveError> {
        let blobs = self.blobs.into_iter().map(|blob| (blob.descriptor.digest, blob.bytes));
        let mut blobs: Vec<(Digest, FileSlice)> = blobs.collect();
        for TreeDocument { descriptor, bytes, .. } in self.documents {
            let bytes = FileSlice::of_bytes(&bytes).map_err(ArchiveError::temporary_file)?;
            blobs.push((descriptor.digest, bytes));
        }
        let root = reference.map(|reference| named(&self.root, reference)).unwrap_or(self.root);
        Ok(Layout { roots: vec![root], blobs })
    }
}
