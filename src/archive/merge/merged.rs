//! The description of a merged archive.

use crate::image::Digest;

/// A merged archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Merged {
    /// The images in it.
    pub images: Vec<MergedImage>,
    /// The number of layers that are stored.
    pub layers: usize,
    /// The number of layers that are not, because they are stored already.
    pub shared_layers: usize,
}

/// An image in a merged archive.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MergedImage {
    /// The image ID: the digest of the config.
    pub id: Digest,
    /// Its references.
    pub references: Vec<String>,
    /// Its platform.
    pub platform: String,
}
