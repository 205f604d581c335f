//! The description of an image that `--json` prints, the same after building and inspecting.
//!
//! Other programs read it: fields may be added, but existing fields do not change.

use serde::Serialize;

use super::{ContainerConfig, DiffId, Digest, ImageConfig, Reference};

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
    /// Whether the layer is from the base image.
    pub base: bool,
    /// The store paths in the layer, if the image's history lists them.
    pub paths: Vec<String>,
    /// The command of the step that made the layer, if the image's history has it.
    pub step: Option<String>,
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
        let history = config.layer_history();
        let step = |index: usize| history.as_ref().and_then(|steps| steps.get(index));
        // The top layer's entry is from the last build; the base may be an image of this builder
        // too.
        let base = history.as_ref().and_then(|steps| steps.last()?.base_layers()).unwrap_or(0);
        let layer = |(index, (diff_id, size)): (usize, (&DiffId, &u64))| LayerSummary {
            diff_id: *diff_id,
            digest: blobs.get(index).copied().flatten(),
            size: Some(*size),
            stored_size: None,
            base: index < base,
            paths: step(index).map(|step| step.paths()).unwrap_or_default(),
            step: step(index).and_then(|step| step.step().map(str::to_owned)),
        };
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
            layers: config.rootfs.diff_ids.iter().zip(sizes).enumerate().map(layer).collect(),
        }
    }
}
