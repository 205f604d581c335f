//! Writing an image to a push: layers are compressed where that is needed, and sent.

use std::io::{self, Read, Write};

use super::Pusher;
use super::layer_file::OpenBlob;
use super::report::MediaTypes;
use crate::archive::ArchiveError;
use crate::archive::blob::LayerBlob;
use crate::archive::blob_cache::CachedBlob;
use crate::archive::decompress::Codec;
use crate::archive::sink::{ImageMetadata, ImageWriter, LayerSink};
use crate::archive::write::{copy, layer_bytes, write_failed};
use crate::image::digest::Hasher;
use crate::image::manifest::OciPlatform;
use crate::image::{DiffId, Digest};
use crate::registry::RegistryError;

impl LayerSink for Pusher {
    fn begin(&mut self, _: u64) -> io::Result<()> {
        self.check_jobs()?;
        let blob = OpenBlob::begin(self.cache.as_ref());
        self.blob = Some(blob.map_err(|error| self.not_stored(error))?);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(blob) = &mut self.blob else { return Err(io::ErrorKind::Unsupported.into()) };
        let written = match &mut self.compressor {
            None => blob.write(bytes),
            Some(compressor) => compressor.push(bytes, &mut |compressed| blob.write(compressed)),
        };
        written.map_err(|error| self.not_stored(error))
    }

    fn cached(&mut self, blob: &CachedBlob, diff_id: DiffId) -> io::Result<()> {
        self.cached.push(diff_id);
        self.add_layer(blob.digest, blob.unchecked(), self.options.compression.codec())
    }

    fn end(&mut self, diff_id: DiffId) -> io::Result<()> {
        let Some(mut blob) = self.blob.take() else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let written = match &mut self.compressor {
            Some(compressor) => compressor.finish(&mut |compressed| blob.write(compressed)),
            None => Ok(()),
        };
        let finished = written.and_then(|()| blob.finish(self.cache.as_ref(), diff_id));
        let (digest, bytes) = finished.map_err(|error| self.not_stored(error))?;
        self.add_layer(digest, bytes, self.options.compression.codec())
    }
}

impl ImageWriter for Pusher {
    fn needs_base_size(&self, layer: &LayerBlob) -> bool {
        // Layers keep their compression, unless Docker's media types have none for it.
        let is_kept = |kind: &str| kind.ends_with("gzip") || kind.ends_with("tar");
        self.options.media_types == MediaTypes::Docker
            && !layer.media_type.as_deref().is_some_and(is_kept)
    }

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
        self.layers.iter().map(|(layer, _)| layer.digest).collect()
    }

    fn finish(&mut self, config: &[u8], metadata: &ImageMetadata) -> io::Result<()> {
        let ImageMetadata { platform, annotations, .. } = metadata;
        self.finish_image(config, OciPlatform::from(platform), annotations.clone(), None)
    }
}

impl Pusher {
    /// Keeps the reason why a layer could not be stored until it is sent.
    fn not_stored(&mut self, source: io::Error) -> io::Error {
        let reason = match &self.cache {
            Some(_) => RegistryError::Cache { what: "a layer".to_owned(), source },
            None => ArchiveError::temporary_file(source).into(),
        };
        self.failed.get_or_insert(reason);
        io::Error::other("storing a layer failed")
    }

    /// Compresses `source`, the tar of the layer `diff_id`, and adds it.
    fn compress_layer(&mut self, layer: &LayerBlob, source: impl Read) -> Result<(), ArchiveError> {
        self.begin(0).map_err(write_failed)?;
        let mut sink = SinkWriter(self);
        copy(source, &layer.name, &mut sink, |_| ())?;
        self.end(layer.diff_id).map_err(write_failed)
    }
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
