//! How images are pushed, and the results: plain data.

use serde::Serialize;

use super::artifact::Attached;
use crate::archive::Compression;
use crate::image::Digest;

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
    /// The artifacts that were attached to the image, or to those of several platforms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<Attached>,
    /// Notes: what is different in the registry, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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
