//! The description of an image that `--json` prints, the same after building and inspecting.
//!
//! Other programs read it: fields may be added, but existing fields do not change.

use serde::Serialize;

use super::{ContainerConfig, DiffId, Digest, ImageConfig, LayerContents, Reference};

/// The description of an image.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The main reference, `name:tag`; null if the image has no name.
    pub reference: Option<String>,
    /// All references, the main one first.
    pub references: Vec<String>,
    /// The repository name.
    pub name: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// The image ID: the digest of the config.
    pub id: Digest,
    /// The CPU architecture, as GOARCH.
    pub architecture: String,
    /// The CPU variant.
    pub variant: Option<String>,
    /// The operating system, as GOOS.
    pub os: String,
    /// The creation date, RFC 3339.
    pub created: Option<String>,
    /// The environment, as `NAME=value` entries.
    pub env: Vec<String>,
    /// How a container of the image runs.
    pub config: ContainerConfig,
    /// The layers, lowest first.
    pub layers: Vec<LayerSummary>,
}

/// The description of a layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerSummary {
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The digest of the blob as stored; null if the image's format does not name layers by digest.
    pub digest: Option<Digest>,
    /// The size of the uncompressed tar in bytes; null if the layer was not read.
    pub size: Option<u64>,
    /// The size of the blob as stored in bytes, if it is known.
    pub stored_size: Option<u64>,
    /// The contents, as far as the image's history has them.
    #[serde(flatten)]
    pub contents: LayerContents,
}

impl Summary {
    /// Describes the image with `config`, whose bytes have the digest `id`, named `references`. Its
    /// layers have these uncompressed sizes and these blobs, lowest first; `blobs` may be shorter.
    pub fn new(
        config: &ImageConfig,
        id: Digest,
        references: &[String],
        sizes: &[u64],
        blobs: &[Option<Digest>],
    ) -> Self {
        let reference = references.first();
        let parsed = reference.and_then(|text| text.parse::<Reference>().ok());
        let layers = config.rootfs.diff_ids.iter().zip(sizes).zip(config.layer_contents());
        let layers = layers.enumerate().map(|(index, ((diff_id, size), contents))| LayerSummary {
            diff_id: *diff_id,
            digest: blobs.get(index).copied().flatten(),
            size: Some(*size),
            stored_size: None,
            contents,
        });
        Self {
            reference: reference.cloned(),
            references: references.to_vec(),
            name: parsed.as_ref().map(|reference| reference.name.to_string()),
            tag: parsed.as_ref().map(|reference| reference.tag.to_string()),
            id,
            architecture: config.architecture.clone(),
            variant: config.variant.clone(),
            os: config.os.clone(),
            created: config.created.clone(),
            env: config.config.env.clone().unwrap_or_default(),
            config: config.config.clone(),
            layers: layers.collect(),
        }
    }
}
