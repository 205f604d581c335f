//! Writes an OCI layout as a tar.
//!
//! A blob is named by its digest, which is known only after its last byte. So the writer needs an
//! output that can seek, and writes each blob's header after its content.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Seek, SeekFrom, Write};

use super::layout::{blob_name, write_index, write_start};
use super::named::{layer_media_type, named};
use crate::archive::ArchiveError;
use crate::archive::blob::LayerBlob;
use crate::archive::blob_cache::{BlobCache, BlobWriter, CachedBlob};
use crate::archive::compress::BlockCompressor;
use crate::archive::compression::Compression;
use crate::archive::decompress::Codec;
use crate::archive::docker::{ListedImage, write_manifest};
use crate::archive::header::{BLOCK, END};
use crate::archive::sink::{ImageMetadata, ImageWriter, LayerSink};
use crate::archive::write::{
    copy_layer, layer_bytes, member_header, write_failed, write_member, write_padding,
};
use crate::image::digest::Hasher;
use crate::image::manifest::{Descriptor, OciIndex, OciManifest, OciPlatform, media_type};
use crate::image::{DiffId, Digest, Platform, Reference};

/// Writes an OCI layout as a tar; with `dual`, the tar is a docker-archive as well.
#[derive(Debug)]
pub struct OciWriter<W> {
    output: W,
    compressor: Option<BlockCompressor>,
    compression: Compression,
    dual: bool,
    layers: Vec<Descriptor>,
    written: BTreeSet<Digest>,
    blob: OpenBlob,
    cache: Option<BlobCache>,
    started: bool,
    images: Vec<WrittenImage>,
    /// Config, names and layers of the image that the docker-archive has. It has one image only,
    /// since docker-archives do not support platforms.
    docker: Option<(String, Vec<Reference>, Vec<String>)>,
}

/// An image whose manifest is written.
#[derive(Debug)]
struct WrittenImage {
    manifest: Descriptor,
    references: Vec<Reference>,
    annotations: BTreeMap<String, String>,
}

/// The blob that is being written.
#[derive(Debug, Default)]
struct OpenBlob {
    start: u64,
    size: u64,
    hasher: Hasher,
    /// Its copy in the layer cache.
    cached: Option<BlobWriter>,
}

impl<W: Write + Seek> OciWriter<W> {
    /// Writes to `output`. New layers are compressed with `compression` on `threads` threads, and
    /// their compressed bytes are added to `cache`.
    pub fn new(
        output: W,
        compression: Compression,
        threads: usize,
        dual: bool,
        cache: Option<BlobCache>,
    ) -> Self {
        Self {
            output,
            compressor: BlockCompressor::new(compression, threads),
            compression,
            dual,
            layers: Vec::new(),
            written: BTreeSet::new(),
            blob: OpenBlob::default(),
            cache,
            started: false,
            images: Vec::new(),
            docker: None,
        }
    }

    /// Writes the index of all images. Returns the output and the length to truncate it to: a blob
    /// that turned out to be a duplicate may have left bytes at the end.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn close(mut self) -> io::Result<(W, u64)> {
        let images = std::mem::take(&mut self.images);
        let references = images.first().map(|image| image.references.clone()).unwrap_or_default();
        let descriptor = match <[WrittenImage; 1]>::try_from(images) {
            Ok([image]) => image.manifest,
            Err(images) => self.nested(images)?,
        };
        let named = references.iter().map(|reference| named(&descriptor, reference));
        write_index(&mut self.output, named.collect())?;
        if let Some((config, references, layers)) = self.docker.take() {
            let image = ListedImage { config, layers, references: &references };
            write_manifest(&mut self.output, &[image])?;
        }
        self.output.write_all(&END)?;
        self.output.flush()?;
        let length = self.output.stream_position()?;
        Ok((self.output, length))
    }

    /// Writes an index of the images for all platforms. It is nested in `index.json`, since readers
    /// of layouts interpret each entry there as a separate image.
    /// It has the annotations that all images share.
    fn nested(&mut self, images: Vec<WrittenImage>) -> io::Result<Descriptor> {
        let images = images.into_iter().map(|image| (image.manifest, image.annotations));
        let index = OciIndex::of_images(images.collect());
        self.small_blob(media_type::INDEX, &serde_json::to_vec(&index)?)
    }

    /// Begins a blob with space for its header, since its digest is not known yet.
    fn open_blob(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.started, true) {
            write_start(&mut self.output)?;
        }
        self.blob = OpenBlob { start: self.output.stream_position()?, ..OpenBlob::default() };
        self.output.write_all(&[0; BLOCK as usize])
    }

    /// Writes the blob's header, or removes the blob if the archive already has it.
    fn close_blob(&mut self, digest: Digest, size: u64, media_type: String) -> io::Result<()> {
        if self.written.insert(digest) {
            write_padding(&mut self.output, size)?;
            let end = self.output.stream_position()?;
            self.output.seek(SeekFrom::Start(self.blob.start))?;
            self.output.write_all(&member_header(&blob_name(digest), size))?;
            self.output.seek(SeekFrom::Start(end))?;
        } else {
            self.output.seek(SeekFrom::Start(self.blob.start))?;
        }
        self.layers.push(Descriptor::new(media_type, digest, size));
        Ok(())
    }

    fn small_blob(&mut self, media_type: &str, bytes: &[u8]) -> io::Result<Descriptor> {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        if self.written.insert(digest) {
            write_member(&mut self.output, &blob_name(digest), bytes)?;
        }
        Ok(Descriptor::new(media_type, digest, size))
    }
}

impl<W: Write + Seek> LayerSink for OciWriter<W> {
    fn begin(&mut self, _: u64) -> io::Result<()> {
        self.open_blob()?;
        self.blob.cached =
            self.compressor.as_ref().and(self.cache.as_ref()).and_then(BlobCache::begin);
        Ok(())
    }

    fn cached(&mut self, blob: &CachedBlob, _: DiffId) -> io::Result<()> {
        self.open_blob()?;
        blob.copy_to(&mut self.output)?;
        self.close_blob(blob.digest, blob.size(), layer_media_type(self.compression.codec()))
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { output, compressor, blob, .. } = self;
        match compressor {
            None => {
                blob.size += bytes.len() as u64;
                output.write_all(bytes)
            }
            Some(compressor) => {
                compressor.push(bytes, &mut |compressed| blob.write(output, compressed))
            }
        }
    }

    fn end(&mut self, diff_id: DiffId) -> io::Result<()> {
        let Self { output, compressor, blob, .. } = self;
        let digest = match compressor {
            None => diff_id.0,
            Some(compressor) => {
                compressor.finish(&mut |compressed| blob.write(output, compressed))?;
                let digest = blob.hasher.finish();
                if let Some(cached) = blob.cached.take() {
                    // If this fails, the next build only takes longer.
                    let _ = cached.finish(diff_id, digest);
                }
                digest
            }
        };
        let size = self.blob.size;
        self.close_blob(digest, size, layer_media_type(self.compression.codec()))
    }
}

impl OpenBlob {
    /// Writes compressed bytes to `output` and to the layer cache.
    fn write(&mut self, output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        if self.cached.as_mut().is_some_and(|cached| cached.write_all(bytes).is_err()) {
            self.cached = None;
        }
        output.write_all(bytes)
    }
}

impl<W: Write + Seek> ImageWriter for OciWriter<W> {
    fn copy_layer(&mut self, layer: &LayerBlob, size: u64) -> Result<(), ArchiveError> {
        self.open_blob().map_err(write_failed)?;
        // The specification has no media type for xz.
        let read_failed = ArchiveError::read(&layer.name);
        let (bytes, _, codec) =
            layer_bytes(layer, size, |codec| codec == Codec::Xz).map_err(read_failed)?;
        let mut hasher = Hasher::default();
        let size = copy_layer(layer, bytes, &mut self.output, |bytes| hasher.update(bytes))?;
        self.close_blob(hasher.finish(), size, layer_media_type(codec)).map_err(write_failed)
    }

    fn layer_digests(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| layer.digest).collect()
    }

    fn finish(&mut self, config: &[u8], metadata: &ImageMetadata) -> io::Result<()> {
        let ImageMetadata { references, platform, annotations } = metadata;
        if !self.started {
            self.open_blob()?;
            self.output.seek(SeekFrom::Start(self.blob.start))?;
        }
        let config = self.small_blob(media_type::CONFIG, config)?;
        let config_name = blob_name(config.digest);
        let layers = std::mem::take(&mut self.layers);
        let layer_names = layers.iter().map(|layer| blob_name(layer.digest)).collect();
        let manifest = OciManifest::new(config, layers, annotations.clone());
        let mut manifest =
            self.small_blob(media_type::MANIFEST, &serde_json::to_vec(&manifest)?)?;
        manifest.platform = Some(OciPlatform::from(platform));
        self.images.push(WrittenImage {
            manifest,
            references: references.clone(),
            annotations: annotations.clone(),
        });
        // The docker-archive has the image for the host's platform, or else the first one.
        let preferred = self.docker.is_none() || platform.arch == Platform::host().arch;
        if self.dual && preferred {
            self.docker = Some((config_name, references.clone(), layer_names));
        }
        Ok(())
    }
}
