//! How images are copied, and the results: plain data.

use std::sync::Arc;

use crate::build::CacheUse;
use crate::image::{Digest, Platform};
use crate::registry::PushOptions;

/// The buffer of an archive that is written.
pub(super) const BUFFER_SIZE: usize = 128 << 10;

/// How an image is copied.
#[derive(Clone, Debug)]
pub(crate) struct CopyOptions {
    /// The platform to copy; without one, all platforms are copied if the destination can have
    /// several.
    pub(crate) platform: Option<Platform>,
    /// The number of threads that verify layers.
    pub(crate) threads: usize,
    /// How layers are sent to a registry, and compressed if they are not yet.
    pub(crate) push: PushOptions,
    /// How the layer cache is used.
    pub(crate) cache: CacheUse,
}

/// The result of a copy.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Copied {
    /// The digest of the index or manifest in the destination; null if it has none.
    pub(crate) digest: Option<Digest>,
    /// The digest of the config, if the destination has only that.
    pub(crate) id: Option<Digest>,
    /// The platforms that were copied, as far as they are known.
    pub(crate) platforms: Vec<String>,
    /// The number of blobs that were written or sent.
    pub(crate) sent: u64,
    /// Their size in bytes.
    pub(crate) sent_bytes: u64,
    /// The number of blobs that the registry took from other repositories.
    pub(crate) mounted: u64,
    /// The number of blobs that were there already.
    pub(crate) present: u64,
    /// The differences in the destination.
    pub(crate) notes: Vec<String>,
}

/// Reports the number of bytes of each piece that is written or sent.
pub(crate) type Progress = Arc<dyn Fn(u64) + Send + Sync>;
