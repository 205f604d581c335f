//! An image in one object: what `--json` prints, the same for an image that was built and one that was
//! inspected. Other programs read this; fields are added, never changed.

use serde::Serialize;

use super::{ContainerConfig, DiffId, Digest, ImageConfig, Reference};

/// An image, described.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// `name:tag`; null for an image without a name.
    pub reference: Option<String>,
    /// The repository.
    pub name: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// The digest of the config.
    pub id: Digest,
    /// GOARCH.
    pub architecture: String,
    /// The CPU variant.
    pub variant: Option<String>,
    /// GOOS.
    pub os: String,
    /// RFC 3339.
    pub created: Option<String>,
    /// `NAME=value` entries.
    pub env: Vec<String>,
    /// How a container runs.
    pub config: ContainerConfig,
    /// Bottom first.
    pub layers: Vec<LayerSummary>,
}

/// A layer, described.
#[derive(Clone, Debug, Serialize)]
pub struct LayerSummary {
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The digest of the blob as stored; null if the image's format does not name layers by digest.
    pub digest: Option<Digest>,
    /// The size of the uncompressed tar in bytes.
    pub size: u64,
    /// Whether it came with the base image.
    pub base: bool,
    /// The store paths that make it, as far as the image's history tells.
    pub paths: Vec<String>,
}

impl Summary {
    /// Describes the image with `config`, whose bytes have the digest `id`, named `reference`. Its
    /// layers have these uncompressed sizes and these blobs, lowest first; `blobs` may be shorter.
    pub fn new(
        config: &ImageConfig,
        id: Digest,
        reference: Option<&str>,
        sizes: &[u64],
        blobs: &[Option<Digest>],
    ) -> Self {
        let parsed = reference.and_then(|text| text.parse::<Reference>().ok());
        let history = config.layer_history();
        let step = |index: usize| history.as_ref().and_then(|steps| steps.get(index));
        // The topmost layer tells of the last build; what lies below may be an image of this builder too.
        let base = history.as_ref().and_then(|steps| steps.last()?.base_layers()).unwrap_or(0);
        let layer = |(index, (diff_id, size)): (usize, (&DiffId, &u64))| LayerSummary {
            diff_id: *diff_id,
            digest: blobs.get(index).copied().flatten(),
            size: *size,
            base: index < base,
            paths: step(index).map(|step| step.paths()).unwrap_or_default(),
        };
        Self {
            reference: reference.map(str::to_owned),
            name: parsed.as_ref().map(|reference| reference.name.to_string()),
            tag: parsed.as_ref().map(|reference| reference.tag.to_string()),
            id,
            architecture: config.architecture.clone(),
            variant: config.variant.clone(),
            os: config.os.clone(),
            created: config.created.clone(),
            env: config.config.env.clone().unwrap_or_default(),
            config: config.config.clone(),
            layers: config.rootfs.diff_ids.iter().zip(sizes).enumerate().map(layer).collect(),
        }
    }
}
