//! Interfaces of what receives an image during a build: layers in order, then the config.

use std::collections::BTreeMap;
use std::io;

use super::ArchiveError;
use super::blob::LayerBlob;
use super::blob_cache::CachedBlob;
use crate::image::{DiffId, Digest, Platform, Reference};

/// Receives new layers as uncompressed tars.
pub trait LayerSink {
    /// Begins a layer of `size` bytes.
    ///
    /// # Errors
    /// If the output cannot be written; likewise for all methods.
    fn begin(&mut self, size: u64) -> io::Result<()>;

    /// Whether the sink needs the bytes of layers whose digest is known.
    fn wants_bytes(&self) -> bool {
        true
    }

    /// Receives the next bytes of the layer.
    fn data(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Receives a whole layer whose compressed bytes come from the layer cache. Only sinks whose
    /// build uses such a cache get this call.
    fn cached(&mut self, _: &CachedBlob, _: DiffId) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends the layer; the digest of all its bytes is `diff_id`.
    fn end(&mut self, diff_id: DiffId) -> io::Result<()>;
}

/// The description of an image outside of its config.
#[derive(Clone, Debug)]
pub struct ImageMetadata {
    /// Its references, the main one first.
    pub references: Vec<Reference>,
    /// Its platform.
    pub platform: Platform,
    /// The annotations of its manifest; a docker-archive has no place for them.
    pub annotations: BTreeMap<String, String>,
}

/// Writes an image: base layers, then new layers, then [`finish`](Self::finish).
pub trait ImageWriter: LayerSink {
    /// Whether the size of `layer`, which is one of a base image, matters when it is uncompressed.
    /// Finding out may take reading it; otherwise its size as stored is given instead.
    fn needs_base_size(&self, layer: &LayerBlob) -> bool {
        let _ = layer;
        true
    }

    /// Copies a layer of a base image. `size` is the size of its uncompressed tar.
    ///
    /// # Errors
    /// If the layer cannot be read or the output cannot be written.
    fn copy_layer(&mut self, layer: &LayerBlob, size: u64) -> Result<(), ArchiveError>;

    /// The digests of the image's layers as stored, lowest first; empty if the format does not name
    /// layers by digest.
    fn layer_digests(&self) -> Vec<Digest> {
        Vec::new()
    }

    /// Writes `config` and the documents that connect it with the layers and with the image's
    /// names.
    ///
    /// # Errors
    /// If the output cannot be written.
    fn finish(&mut self, config: &[u8], metadata: &ImageMetadata) -> io::Result<()>;
}

/// Discards the layers; for callers that need only their digests.
#[derive(Debug)]
pub struct Discard;

impl LayerSink for Discard {
    fn wants_bytes(&self) -> bool {
        false
    }

    fn begin(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, _: DiffId) -> io::Result<()> {
        Ok(())
    }
}
