//! Images in registries: which one a reference means, and its layers, which are fetched when they
//! are read.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::stream;

use super::download::{self, Document};
use super::{Registries, RegistryError, known};
use crate::archive::blob::FileSlice;
use crate::archive::oci::{
    LayoutWriter, is_index, is_manifest, named, parse_index, parse_manifest, select_platform,
};
use crate::archive::{
    ArchiveError, Image, ImageFormat, Limits, StoredLayer, check_layer_count, pair_layers,
    parse_config,
};
use crate::image::manifest::{Descriptor, OciManifest, OciPlatform, media_type};
use crate::image::{Digest, Platform, Reference, RemoteReference};
use crate::text;

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
        let root = self.document(reference).await?;
        let (digest, mut document) = (root.digest, root);
        let mut depth = 0;
        while kind(&path, &document)? == Kind::Index {
            depth += 1;
            if depth > DEPTH_MAX {
                let problem = format!("it has more than {DEPTH_MAX} levels of nested indexes");
                return Err(RegistryError::invalid(path.display(), problem));
            }
            let index = parse_index(&path, &document.digest.to_string(), &document.bytes)?;
            let selected = select_platform(&path, index.manifests, platform)?;
            document = self.document(&reference.at(selected.digest)).await?;
        }
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
            references: reference.familiar().into_iter().collect(),
            layers,
            limits,
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
        })
    }

    /// The manifest or index that `reference` names, from the cache if it names a digest.
    pub(super) async fn document(
        &self,
        reference: &RemoteReference,
    ) -> Result<Document, RegistryError> {
        if let Some(digest) = reference.digest
            && let Some(bytes) = self.store().document(digest)
        {
            return Ok(Document { bytes, digest, media_type: String::new() });
        }
        let client = self.client(reference).await?;
        let name = reference.manifest_name();
        let document = download::manifest(&client, &name, reference.digest).await?;
        self.store().insert(document.digest, &document.bytes);
        Ok(document)
    }

    /// A small blob, from the cache if it is there.
    pub(super) async fn blob_document(
        &self,
        reference: &RemoteReference,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, RegistryError> {
        match self.store().document(descriptor.digest) {
            Some(bytes) => Ok(bytes),
            None => {
                let client = self.client(reference).await?;
                download::document(&client, self.store(), descriptor).await
            }
        }
    }

    /// A blob, from the cache if it is there.
    pub(super) async fn blob(
        &self,
        reference: &RemoteReference,
        descriptor: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<FileSlice, RegistryError> {
        if let Some(cached) = self.store().get(descriptor.digest, descriptor.size) {
            progress(descriptor.size);
            return Ok(cached);
        }
        let client = self.client(reference).await?;
        let blob = download::blob(&client, self.store(), descriptor, progress).await?;
        known::add(&client.registry, &client.repository, descriptor.digest);
        Ok(blob)
    }

    /// A layer that is fetched when it is read.
    pub(super) fn deferred(
        &self,
        reference: &RemoteReference,
        descriptor: &Descriptor,
    ) -> StoredLayer {
        let (registries, reference) = (self.clone(), reference.clone());
        let blob = descriptor.clone();
        // To mount the layer from there, if it is pushed to another repository.
        known::add(reference.registry(), reference.repository(), descriptor.digest);
        let fetch = move || {
            registries.store().verify(blob.digest, blob.size);
            let fetched = registries.run(registries.blob(&reference, &blob, &|_| ()));
            fetched.map_err(io::Error::other)
        };
        StoredLayer {
            name: descriptor.digest.to_string(),
            bytes: FileSlice::deferred(descriptor.size, fetch),
            digest: Some(descriptor.digest),
            media_type: Some(descriptor.media_type.clone()),
        }
    }

    /// Fetches the layers of `image`, several at once, so that reading them later waits for
    /// nothing. `progress` is called with the number of bytes of each piece.
    ///
    /// # Errors
    /// If a layer cannot be fetched, does not match its digest, or cannot be cached.
    pub fn fetch_layers(
        &self,
        image: &RemoteImage,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let all = image.manifest.layers.iter().map(|layer| layer.digest).collect();
        self.fetch_some_layers(image, &all, progress)
    }

    /// Fetches the layers of `image` with the digests in `wanted`, as
    /// [`fetch_layers`](Self::fetch_layers) does.
    ///
    /// # Errors
    /// If a layer cannot be fetched, does not match its digest, or cannot be cached.
    pub(crate) fn fetch_some_layers(
        &self,
        image: &RemoteImage,
        wanted: &BTreeSet<Digest>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let layers = image.manifest.layers.iter().filter(|layer| wanted.contains(&layer.digest));
        let distinct: BTreeMap<Digest, &Descriptor> =
            layers.map(|layer| (layer.digest, layer)).collect();
        self.run(async {
            let fetches = distinct
                .into_values()
                .map(|layer| async {
                    let blob = self.blob(&image.reference, layer, progress).await?;
                    Ok::<_, RegistryError>((layer.digest, blob))
                })
                .collect::<Vec<_>>();
            let mut results = stream::iter(fetches).buffer_unordered(PARALLEL);
            while let Some(result) = results.next().await {
                let (digest, blob) = result?;
                let layers = image.image.layers.iter();
                let same = layers.filter(|layer| layer.digest == Some(digest));
                same.for_each(|layer| layer.bytes.set_fetched(blob.clone()));
            }
            Ok(())
        })?;
        self.store().prune();
        Ok(())
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

/// The two kinds of documents that a reference can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Index,
    Manifest,
}

/// Whether `document` is an index or a manifest: by its own media type, or else by the one that the
/// registry sent with it.
pub(super) fn kind(path: &Path, document: &Document) -> Result<Kind, RegistryError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        #[serde(default)]
        media_type: Option<String>,
        #[serde(default)]
        manifests: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        config: Option<serde::de::IgnoredAny>,
    }
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
fn check_types(path: &Path, manifest: &OciManifest) -> Result<(), RegistryError> {
    let invalid = |problem: String| Err(RegistryError::invalid(path.display(), problem));
    let config = &manifest.config.media_type;
    let configs = [media_type::CONFIG, media_type::DOCKER_CONFIG, "application/octet-stream", ""];
    let artifact = manifest.artifact_type.as_ref().unwrap_or(config);
    if !configs.contains(&artifact.as_str()) || !configs.contains(&config.as_str()) {
        return invalid(format!("it is not an image, but an artifact of the type {artifact}"));
    }
    let unreadable = manifest.layers.iter().map(|layer| layer.media_type.as_str()).find(|kind| {
        let tar = kind.ends_with(".tar") || kind.ends_with(".tar.gzip");
        !(tar || kind.is_empty() || kind.ends_with(".tar+gzip") || kind.ends_with(".tar+zstd"))
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
