//! The interface of a layer cache to the [pipeline](super::pipeline) that produces layers.

use super::blob_cache::CachedBlob;
use super::layer::Fingerprint;
use crate::image::DiffId;

/// A cache of the digests and compressed bytes of layers from earlier builds.
pub trait LayerCache: Sync {
    /// Returns the cached layer with `fingerprint`.
    fn get(&self, fingerprint: &Fingerprint) -> Option<CachedLayer>;

    /// Adds the digest of the layer with `fingerprint`, and replaces one that it has.
    fn insert(&self, fingerprint: &Fingerprint, diff_id: DiffId);
}

/// A layer from a [`LayerCache`].
#[derive(Clone, Debug)]
pub struct CachedLayer {
    /// The diff ID: the digest of its tar.
    pub diff_id: DiffId,
    /// Its compressed bytes, if the sink needs these; then the layer's files are not read.
    pub blob: Option<CachedBlob>,
}

/// A cache that is always empty.
#[derive(Clone, Copy, Debug)]
pub struct NoCache;

impl LayerCache for NoCache {
    fn get(&self, _: &Fingerprint) -> Option<CachedLayer> {
        None
    }

    fn insert(&self, _: &Fingerprint, _: DiffId) {}
}
