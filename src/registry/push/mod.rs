//! Pushes images while they are built: each layer is compressed once, into the cache, and sent as
//! soon as it is complete. Manifests follow the blobs, and tags come last.

mod artifact;
mod attach;
mod layer_file;
mod manifests;
mod report;
mod sink;
mod target;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use tokio::task::JoinSet;

pub(crate) use artifact::Artifact;
pub use artifact::Attached;
pub use report::{MediaTypes, PushOptions, PushReport, Pushed};

use self::artifact::Attachment;
use self::layer_file::OpenBlob;
use self::target::Target;
use super::body::Body;
use super::error::{from_io, into_io};
use super::send::{self, Destination, Parcel};
use super::{Registries, RegistryError};
use crate::archive::Compression;
use crate::archive::blob::FileSlice;
use crate::archive::blob_cache::BlobCache;
use crate::archive::compress::BlockCompressor;
use crate::archive::decompress::Codec;
use crate::image::manifest::{Descriptor, OciManifest, OciPlatform, media_type};
use crate::image::{DiffId, Digest, RemoteReference};

/// Pushes images that are written to it, to one repository or several.
pub struct Pusher {
    registries: Registries,
    targets: Vec<Target>,
    /// The repositories of the targets, those of each registry together.
    destinations: Vec<Arc<[Arc<Destination>]>>,
    options: PushOptions,
    compressor: Option<BlockCompressor>,
    cache: Option<BlobCache>,
    /// The layer that is being compressed.
    blob: Option<OpenBlob>,
    /// The layers of the image that is being written.
    layers: Vec<(Descriptor, FileSlice)>,
    /// The diff IDs of cached layers, in case a cached one is damaged.
    cached: Vec<DiffId>,
    scheduled: BTreeSet<Digest>,
    jobs: JoinSet<Result<(), RegistryError>>,
    manifests: Vec<FinishedImage>,
    /// Whether an image has annotations, and Docker's media types no place for them.
    left_out_annotations: bool,
    /// The annotations of the index; if not given, those that all manifests have.
    index_annotations: Option<BTreeMap<String, String>>,
    attachments: Vec<Attachment>,
    failed: Option<RegistryError>,
    progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl std::fmt::Debug for Pusher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pusher").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Registries {
    /// Prepares a push to `references`, each with a tag, and checks that all of them may be pushed
    /// to. `progress` is called with the number of bytes of each piece that is sent.
    ///
    /// # Errors
    /// If a registry cannot be reached or denies access, or if the options contradict each other.
    pub(crate) fn pusher(
        &self,
        references: &[RemoteReference],
        options: PushOptions,
        cache: Option<BlobCache>,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Pusher, RegistryError> {
        if options.media_types == MediaTypes::Docker && options.compression == Compression::Zstd {
            let problem = "Docker's media types have no layers in zstd; use gzip, or OCI's types";
            return Err(RegistryError::Usage(problem.to_owned()));
        }
        let targets = by_repository(references)?
            .into_iter()
            .map(|(reference, tags)| self.run(self.target(reference, tags, options.dry_run)));
        let targets: Vec<Target> = targets.collect::<Result<_, _>>()?;
        let mut destinations: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for Target { destination, .. } in &targets {
            let registry = destination.client.registry.as_str();
            destinations.entry(registry).or_default().push(Arc::clone(destination));
        }
        Ok(Pusher {
            registries: self.clone(),
            destinations: destinations.into_values().map(Arc::from).collect(),
            targets,
            options,
            compressor: BlockCompressor::new(options.compression, options.threads),
            cache: if options.compression == Compression::None { None } else { cache },
            blob: None,
            layers: Vec::new(),
            cached: Vec::new(),
            scheduled: BTreeSet::new(),
            jobs: JoinSet::new(),
            manifests: Vec::new(),
            left_out_annotations: false,
            index_annotations: None,
            attachments: Vec::new(),
            failed: None,
            progress: Arc::new(progress),
        })
    }
}

/// The repositories of `references`, each with its tags.
fn by_repository(
    references: &[RemoteReference],
) -> Result<Vec<(RemoteReference, Vec<String>)>, RegistryError> {
    let mut grouped: Vec<(RemoteReference, Vec<String>)> = Vec::new();
    for reference in references {
        if reference.digest.is_some() {
            let problem = format!("{reference}: an image is pushed to a tag, not to a digest");
            return Err(RegistryError::Usage(problem));
        }
        let tag = reference.manifest_name();
        match grouped.iter_mut().find(|(known, _)| known.name() == reference.name()) {
            Some((_, tags)) if tags.contains(&tag) => {}
            Some((_, tags)) => tags.push(tag),
            None => grouped.push((reference.clone(), vec![tag])),
        }
    }
    Ok(grouped)
}

impl Pusher {
    /// Adds a layer to the image, and begins to send it.
    fn add_layer(&mut self, digest: Digest, bytes: FileSlice, codec: Codec) -> io::Result<()> {
        let size = bytes.len();
        self.layers.push((Descriptor::new(self.layer_type(codec), digest, size), bytes.clone()));
        self.schedule(digest, Body::File(bytes))
    }

    fn layer_type(&self, codec: Codec) -> String {
        let suffix = match codec {
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
            Codec::Plain | Codec::Xz => "",
        };
        match (self.options.media_types, suffix) {
            (MediaTypes::Oci, "") => media_type::LAYER.to_owned(),
            (MediaTypes::Oci, suffix) => format!("{}+{suffix}", media_type::LAYER),
            (MediaTypes::Docker, "") => media_type::DOCKER_LAYER.to_owned(),
            (MediaTypes::Docker, suffix) => format!("{}.{suffix}", media_type::DOCKER_LAYER),
        }
    }

    /// Sends a blob to every target, in the background.
    fn schedule(&mut self, digest: Digest, body: Body) -> io::Result<()> {
        self.check_jobs()?;
        if !self.scheduled.insert(digest) {
            return Ok(());
        }
        let handle = self.registries.handle().map_err(into_io)?.clone();
        for destinations in &self.destinations {
            let destinations = Arc::clone(destinations);
            let parcel = Parcel { digest, body: body.clone() };
            let progress = Arc::clone(&self.progress);
            self.jobs.spawn_on(
                async move { send::send(&destinations, parcel, &*progress).await },
                &handle,
            );
        }
        Ok(())
    }

    /// Fails if sending a blob has failed, so that the rest of the image is not built in vain.
    fn check_jobs(&mut self) -> io::Result<()> {
        while let Some(done) = self.jobs.try_join_next() {
            let done = done.unwrap_or_else(|error| Err(from_io(io::Error::other(error))));
            if let Err(error) = done {
                self.failed.get_or_insert(error);
            }
        }
        match self.failed {
            None => Ok(()),
            Some(_) => Err(io::Error::other("sending a layer failed")),
        }
    }

    /// The failure of the push that ended writing to it, if there is one.
    pub fn take_failure(&mut self) -> Option<RegistryError> {
        let error = self.failed.take()?;
        Some(self.explain(error))
    }

    /// Waits until all blobs are there, then sends manifests and tags.
    ///
    /// # Errors
    /// If a blob or manifest cannot be sent; nothing is tagged then.
    pub fn close(mut self) -> Result<PushReport, RegistryError> {
        let registries = self.registries.clone();
        let result = registries.run(self.finish_jobs());
        if let Err(error) = result {
            return Err(self.explain(error));
        }
        self.finish_documents()
    }

    async fn finish_jobs(&mut self) -> Result<(), RegistryError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        while let Some(done) = self.jobs.join_next().await {
            done.unwrap_or_else(|error| Err(from_io(io::Error::other(error))))?;
        }
        Ok(())
    }

    /// Removes damaged layers from the cache: if there is one, it is the reason for `error`.
    fn explain(&self, error: RegistryError) -> RegistryError {
        let rejected = matches!(error, RegistryError::Status { status: 400..500, .. });
        let Some(cache) = self.cache.as_ref().filter(|_| rejected) else { return error };
        // Checking a layer removes it if it is damaged.
        let is_damaged =
            |diff_id: &DiffId| cache.get(*diff_id).is_none_or(|blob| blob.verified().is_none());
        let damaged = self.cached.iter().filter(|diff_id| is_damaged(diff_id)).count() > 0;
        if damaged { RegistryError::DamagedCache } else { error }
    }
}

/// An image whose manifest is complete.
struct FinishedImage {
    descriptor: Descriptor,
    manifest: Vec<u8>,
    annotations: BTreeMap<String, String>,
    config: Vec<u8>,
    layers: Vec<(Descriptor, FileSlice)>,
}

impl Pusher {
    /// Ends the image, whose config is `config`. Its manifest has `annotations`, and its entry in
    /// an index of several images `entry_annotations`.
    pub(crate) fn finish_image(
        &mut self,
        config: &[u8],
        platform: OciPlatform,
        annotations: BTreeMap<String, String>,
        entry_annotations: Option<BTreeMap<String, String>>,
    ) -> io::Result<()> {
        let (annotations, entry_annotations) = match self.options.media_types {
            MediaTypes::Oci => (annotations, entry_annotations),
            MediaTypes::Docker => {
                self.left_out_annotations |= !annotations.is_empty();
                (BTreeMap::new(), None)
            }
        };
        let (config_type, manifest_type) = match self.options.media_types {
            MediaTypes::Oci => (media_type::CONFIG, media_type::MANIFEST),
            MediaTypes::Docker => (media_type::DOCKER_CONFIG, media_type::DOCKER_MANIFEST),
        };
        let digest = Digest::of(config);
        self.schedule(digest, Body::Bytes(config.to_vec().into()))?;
        let layers = std::mem::take(&mut self.layers);
        let mut manifest = OciManifest::new(
            Descriptor::new(config_type, digest, config.len() as u64),
            layers.iter().map(|(layer, _)| layer.clone()).collect(),
            annotations.clone(),
        );
        manifest.media_type = Some(manifest_type.to_owned());
        let bytes = serde_json::to_vec(&manifest)?;
        let mut entry = Descriptor::new(manifest_type, Digest::of(&bytes), bytes.len() as u64);
        (entry.platform, entry.annotations) = (Some(platform), entry_annotations);
        self.manifests.push(FinishedImage {
            descriptor: entry,
            manifest: bytes,
            annotations,
            config: config.to_vec(),
            layers,
        });
        Ok(())
    }
}
