//! Pushes images while they are built: each layer is compressed once, into the cache, and sent as
//! soon as it is complete. Manifests follow the blobs, and tags come last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;
use tokio::task::JoinSet;

use super::body::Body;
use super::download;
use super::error::from_io;
use super::image::{Kind, kind};
use super::send::{Destination, Parcel};
use super::{Registries, RegistryError, known, upload};
use crate::archive::blob::{FileSlice, LayerBlob};
use crate::archive::blob_cache::{BlobCache, BlobWriter, CachedBlob};
use crate::archive::compress::BlockCompressor;
use crate::archive::decompress::Codec;
use crate::archive::oci::{parse_index, parse_manifest};
use crate::archive::sink::{ImageMetadata, ImageWriter, LayerSink};
use crate::archive::write::{copy, layer_bytes, write_failed};
use crate::archive::{ArchiveError, Compression};
use crate::image::digest::Hasher;
use crate::image::manifest::{Descriptor, OciIndex, OciManifest, OciPlatform, media_type};
use crate::image::{DiffId, Digest, RemoteReference};

/// The media types of manifests, configs and layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaTypes {
    /// OCI's.
    #[default]
    Oci,
    /// Docker's, for registries that know no others. They have no layers in zstd.
    Docker,
}

/// How images are pushed.
#[derive(Clone, Copy, Debug)]
pub struct PushOptions {
    /// The compression of layers that are not compressed yet.
    pub compression: Compression,
    /// The media types.
    pub media_types: MediaTypes,
    /// Whether to find out what would be sent, and send nothing.
    pub dry_run: bool,
    /// The number of threads that compress.
    pub threads: usize,
}

/// The result of a push.
#[derive(Clone, Debug, Serialize)]
pub struct PushReport {
    /// The digest of the manifest, or of the index of several platforms.
    pub digest: Digest,
    /// The repositories.
    pub pushed: Vec<Pushed>,
    /// Whether nothing was sent.
    pub dry_run: bool,
}

/// The result of a push for one repository.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
    /// The image, as `registry/repository@digest`.
    pub reference: String,
    /// The tags.
    pub tags: Vec<String>,
    /// The number of blobs that were sent.
    pub sent: u64,
    /// Their size in bytes.
    pub sent_bytes: u64,
    /// The number of blobs that the registry took from other repositories.
    pub mounted: u64,
    /// The number of blobs that were there already.
    pub present: u64,
}

/// A repository with the tags to push.
struct Target {
    reference: RemoteReference,
    destination: Arc<Destination>,
    tags: Vec<String>,
    /// The digests that these tags have.
    current: BTreeMap<String, Digest>,
}

/// Pushes images that are written to it, to one repository or several.
pub struct Pusher {
    registries: Registries,
    targets: Vec<Target>,
    options: PushOptions,
    compressor: Option<BlockCompressor>,
    cache: Option<BlobCache>,
    /// The layer that is being compressed.
    blob: Option<OpenBlob>,
    /// The layers of the image that is being written.
    layers: Vec<Descriptor>,
    /// The diff IDs of cached layers, in case a cached one is damaged.
    cached: Vec<DiffId>,
    scheduled: BTreeSet<Digest>,
    jobs: JoinSet<Result<(), RegistryError>>,
    manifests: Vec<FinishedImage>,
    failed: Option<RegistryError>,
    progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl std::fmt::Debug for Pusher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pusher").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A layer that is being written to a file.
struct OpenBlob {
    file: NewFile,
    hasher: Hasher,
}

/// The file of a new layer.
enum NewFile {
    Cached(BlobWriter),
    Temporary(File),
}

impl OpenBlob {
    fn begin(cache: Option<&BlobCache>) -> io::Result<Self> {
        let file = match cache.and_then(BlobCache::begin) {
            Some(writer) => NewFile::Cached(writer),
            None => NewFile::Temporary(tempfile::tempfile()?),
        };
        Ok(Self { file, hasher: Hasher::default() })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        match &mut self.file {
            NewFile::Cached(writer) => writer.write(bytes),
            NewFile::Temporary(file) => file.write_all(bytes),
        }
    }

    /// The finished layer, which the cache keeps as the layer `diff_id`.
    fn finish(
        mut self,
        cache: Option<&BlobCache>,
        diff_id: DiffId,
    ) -> io::Result<(Digest, FileSlice)> {
        let digest = self.hasher.finish();
        let bytes = match (self.file, cache) {
            (NewFile::Cached(writer), Some(cache)) => {
                writer.finish(diff_id, digest)?;
                cache.get(diff_id).ok_or(io::ErrorKind::NotFound)?.unchecked()
            }
            (NewFile::Cached(_), None) => return Err(io::ErrorKind::Unsupported.into()),
            (NewFile::Temporary(file), _) => FileSlice::whole(file)?,
        };
        Ok((digest, bytes))
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
        let targets = grouped
            .into_iter()
            .map(|(reference, tags)| self.run(self.target(reference, tags, options.dry_run)));
        Ok(Pusher {
            registries: self.clone(),
            targets: targets.collect::<Result<_, _>>()?,
            options,
            compressor: BlockCompressor::new(options.compression, options.threads),
            cache: if options.compression == Compression::None { None } else { cache },
            blob: None,
            layers: Vec::new(),
            cached: Vec::new(),
            scheduled: BTreeSet::new(),
            jobs: JoinSet::new(),
            manifests: Vec::new(),
            failed: None,
            progress: Arc::new(progress),
        })
    }

    /// Asks for the images that the tags have now: their blobs need not be asked for.
    async fn target(
        &self,
        reference: RemoteReference,
        tags: Vec<String>,
        dry_run: bool,
    ) -> Result<Target, RegistryError> {
        let client = self.client(&reference).await?;
        let mut current = BTreeMap::new();
        for tag in &tags {
            if let Some(digest) = download::manifest_digest(&client, tag).await? {
                current.insert(tag.clone(), digest);
            }
        }
        let mut present = BTreeSet::new();
        if let Some(digest) = current.values().next() {
            // If this fails, every blob is asked for.
            let _ = self.blobs_of(&reference.at(*digest), &mut present, 2).await;
        }
        let destination = Arc::new(Destination::new(client, present, dry_run));
        Ok(Target { reference, destination, tags, current })
    }

    /// Adds the blobs of the image or index that `reference` names to `found`.
    async fn blobs_of(
        &self,
        reference: &RemoteReference,
        found: &mut BTreeSet<Digest>,
        depth: usize,
    ) -> Result<(), RegistryError> {
        let document = self.document(reference).await?;
        let path = reference.to_string();
        let (path, name) = (path.as_ref(), document.digest.to_string());
        match kind(path, &document)? {
            Kind::Manifest => {
                let manifest = parse_manifest(path, &name, &document.bytes)?;
                found.insert(manifest.config.digest);
                found.extend(manifest.layers.iter().map(|layer| layer.digest));
            }
            Kind::Index if depth > 0 => {
                for entry in parse_index(path, &name, &document.bytes)?.manifests {
                    let next = reference.at(entry.digest);
                    Box::pin(self.blobs_of(&next, found, depth - 1)).await?;
                }
            }
            Kind::Index => {}
        }
        Ok(())
    }
}

impl Pusher {
    /// Adds a layer to the image, and begins to send it.
    fn add_layer(&mut self, digest: Digest, bytes: FileSlice, codec: Codec) -> io::Result<()> {
        let size = bytes.len();
        self.layers.push(descriptor(self.layer_type(codec), digest, size));
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
        let handle = self.registries.handle().map_err(io::Error::other)?.clone();
        for target in &self.targets {
            let destination = Arc::clone(&target.destination);
            let parcel = Parcel { digest, body: body.clone() };
            let progress = Arc::clone(&self.progress);
            self.jobs
                .spawn_on(async move { destination.receive(parcel, &*progress).await }, &handle);
        }
        Ok(())
    }

    /// Fails if sending a blob has failed, so that the rest of the image is not built in vain.
    fn check_jobs(&mut self) -> io::Result<()> {
        while let Some(done) = self.jobs.try_join_next() {
            let done = done.unwrap_or_else(|error| Err(from_io(io::Error::other(error))));
            if let Err(error) = done {
                self.failed = Some(error);
            }
        }
        match self.failed {
            None => Ok(()),
            Some(_) => Err(io::Error::other("sending a layer failed")),
        }
    }

    /// The failure of the push that ended writing to it, if there is one.
    pub fn take_failure(&mut self) -> Option<RegistryError> {
        self.failed.take()
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
        let (bytes, media_type) = self.root()?;
        let digest = Digest::of(&bytes);
        if !self.options.dry_run {
            registries.run(self.send_manifests(&bytes, media_type, digest))?;
            known::prune();
        }
        let pushed = self.targets.iter().map(|target| target.report(digest)).collect();
        Ok(PushReport { digest, pushed, dry_run: self.options.dry_run })
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

    /// The document that tags name: the manifest, or an index of several.
    fn root(&self) -> Result<(Vec<u8>, &'static str), RegistryError> {
        let of_manifest = match self.options.media_types {
            MediaTypes::Oci => media_type::MANIFEST,
            MediaTypes::Docker => media_type::DOCKER_MANIFEST,
        };
        if let [image] = &*self.manifests {
            return Ok((image.manifest.clone(), of_manifest));
        }
        let of_index = match self.options.media_types {
            MediaTypes::Oci => media_type::INDEX,
            MediaTypes::Docker => media_type::DOCKER_LIST,
        };
        let entry = |image: &FinishedImage| (image.descriptor.clone(), image.annotations.clone());
        let mut index = OciIndex::of_images(self.manifests.iter().map(entry).collect());
        if self.options.media_types == MediaTypes::Docker {
            // Docker's documents have no annotations.
            index.annotations.clear();
        }
        index.media_type = Some(of_index.to_owned());
        let bytes = serde_json::to_vec(&index).map_err(|error| from_io(error.into()))?;
        Ok((bytes, of_index))
    }

    async fn send_manifests(
        &self,
        root: &[u8],
        media_type: &str,
        digest: Digest,
    ) -> Result<(), RegistryError> {
        for target in &self.targets {
            let client = &target.destination.client;
            let outdated =
                target.tags.iter().filter(|tag| target.current.get(*tag) != Some(&digest));
            let outdated: Vec<&String> = outdated.collect();
            if !outdated.is_empty() && self.manifests.len() > 1 {
                for FinishedImage { descriptor, manifest, .. } in &self.manifests {
                    let name = descriptor.digest.to_string();
                    upload::manifest(client, &name, &descriptor.media_type, manifest).await?;
                }
            }
            for tag in outdated {
                upload::manifest(client, tag, media_type, root).await?;
            }
        }
        Ok(())
    }

    /// Compresses `source`, the tar of the layer `diff_id`, and adds it.
    fn compress_layer(&mut self, layer: &LayerBlob, source: impl Read) -> Result<(), ArchiveError> {
        self.begin(0).map_err(write_failed)?;
        let mut sink = SinkWriter(self);
        copy(source, &layer.name, &mut sink, |_| ())?;
        self.end(layer.diff_id).map_err(write_failed)
    }
}

/// An image whose manifest is complete.
struct FinishedImage {
    descriptor: Descriptor,
    manifest: Vec<u8>,
    annotations: BTreeMap<String, String>,
}

/// Writes to a sink.
struct SinkWriter<'a>(&'a mut Pusher);

impl Write for SinkWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.data(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target {
    fn report(&self, digest: Digest) -> Pushed {
        let counts = &self.destination.counts;
        Pushed {
            reference: format!("{}@{digest}", self.reference.name()),
            tags: self.tags.clone(),
            sent: counts.sent.load(Ordering::Relaxed),
            sent_bytes: counts.sent_bytes.load(Ordering::Relaxed),
            mounted: counts.mounted.load(Ordering::Relaxed),
            present: counts.present.load(Ordering::Relaxed),
        }
    }
}

fn descriptor(media_type: String, digest: Digest, size: u64) -> Descriptor {
    let (platform, artifact_type, annotations) = (None, None, None);
    Descriptor { media_type, digest, size, platform, artifact_type, annotations }
}

impl LayerSink for Pusher {
    fn begin(&mut self, _: u64) -> io::Result<()> {
        self.check_jobs()?;
        self.blob = Some(OpenBlob::begin(self.cache.as_ref())?);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(blob) = &mut self.blob else { return Err(io::ErrorKind::Unsupported.into()) };
        match &mut self.compressor {
            None => blob.write(bytes),
            Some(compressor) => compressor.push(bytes, &mut |compressed| blob.write(compressed)),
        }
    }

    fn cached(&mut self, blob: &CachedBlob, diff_id: DiffId) -> io::Result<()> {
        self.cached.push(diff_id);
        self.add_layer(blob.digest, blob.unchecked(), self.options.compression.codec())
    }

    fn end(&mut self, diff_id: DiffId) -> io::Result<()> {
        let Some(mut blob) = self.blob.take() else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        if let Some(compressor) = &mut self.compressor {
            compressor.finish(&mut |compressed| blob.write(compressed))?;
        }
        let (digest, bytes) = blob.finish(self.cache.as_ref(), diff_id)?;
        self.add_layer(digest, bytes, self.options.compression.codec())
    }
}

impl ImageWriter for Pusher {
    fn copy_layer(&mut self, layer: &LayerBlob, size: u64) -> Result<(), ArchiveError> {
        let read_failed = ArchiveError::read(&layer.name);
        // The media type is known without fetching the layer.
        let codec = match layer.media_type.as_deref() {
            Some(kind) if kind.ends_with("zstd") => Codec::Zstd,
            Some(kind) if kind.ends_with("gzip") => Codec::Gzip,
            _ => Codec::detect(&layer.bytes).map_err(read_failed)?,
        };
        let recompress = match codec {
            Codec::Plain => self.compressor.is_some(),
            Codec::Gzip => false,
            Codec::Zstd => self.options.media_types == MediaTypes::Docker,
            Codec::Xz => true,
        };
        if recompress {
            if let Some(blob) = self.cache.as_ref().and_then(|cache| cache.get(layer.diff_id)) {
                return self.cached(&blob, layer.diff_id).map_err(write_failed);
            }
            let read_failed = ArchiveError::read(&layer.name);
            let (bytes, ..) = layer_bytes(layer, size, |_| true).map_err(read_failed)?;
            return self.compress_layer(layer, bytes);
        }
        let digest = match layer.digest {
            Some(digest) => digest,
            None => {
                let mut hasher = Hasher::default();
                let hash = |bytes: &[u8]| hasher.update(bytes);
                copy(layer.bytes.clone(), &layer.name, &mut io::sink(), hash)?;
                hasher.finish()
            }
        };
        self.add_layer(digest, layer.bytes.clone(), codec).map_err(write_failed)
    }

    fn layer_digests(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| layer.digest).collect()
    }

    fn finish(&mut self, config: &[u8], metadata: &ImageMetadata) -> io::Result<()> {
        let ImageMetadata { platform, annotations, .. } = metadata;
        self.finish_image(config, OciPlatform::from(platform), annotations.clone())
    }
}

impl Pusher {
    /// Ends the image, whose config is `config`.
    pub(crate) fn finish_image(
        &mut self,
        config: &[u8],
        platform: OciPlatform,
        annotations: BTreeMap<String, String>,
    ) -> io::Result<()> {
        let annotations = match self.options.media_types {
            MediaTypes::Oci => annotations,
            MediaTypes::Docker => BTreeMap::new(),
        };
        let (config_type, manifest_type) = match self.options.media_types {
            MediaTypes::Oci => (media_type::CONFIG, media_type::MANIFEST),
            MediaTypes::Docker => (media_type::DOCKER_CONFIG, media_type::DOCKER_MANIFEST),
        };
        let digest = Digest::of(config);
        self.schedule(digest, Body::Bytes(config.to_vec().into()))?;
        let config = descriptor(config_type.to_owned(), digest, config.len() as u64);
        let mut manifest =
            OciManifest::new(config, std::mem::take(&mut self.layers), annotations.clone());
        manifest.media_type = Some(manifest_type.to_owned());
        let bytes = serde_json::to_vec(&manifest)?;
        let mut entry =
            descriptor(manifest_type.to_owned(), Digest::of(&bytes), bytes.len() as u64);
        entry.platform = Some(platform);
        self.manifests.push(FinishedImage { descriptor: entry, manifest: bytes, annotations });
        Ok(())
    }
}
