//! The image config: platform, layers, and how a container runs (OCI image-spec, `config.md`; moby
//! `image/spec`).
//!
//! These types read and write any valid config; unknown fields are kept in `extra`. The rules for a
//! recipe's `config` are in [`fields`](super::fields).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DiffId, History, LayerContents, null};

/// A map of names to empty objects, the shape of `ExposedPorts` and `Volumes`.
pub type Set = BTreeMap<String, Value>;

/// An image config.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// The creation date, RFC 3339; some builders leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The CPU architecture, as GOARCH.
    #[serde(default, deserialize_with = "null::as_default")]
    pub architecture: String,
    /// The CPU variant, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The operating system, as GOOS.
    #[serde(default, deserialize_with = "null::as_default")]
    pub os: String,
    /// How a container of the image runs.
    #[serde(default, deserialize_with = "null::as_default")]
    pub config: ContainerConfig,
    /// The layers, by diff ID.
    pub rootfs: RootFs,
    /// The build steps, oldest first, including steps without a layer.
    #[serde(default, deserialize_with = "null::in_list")]
    pub history: Vec<History>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The layers of an image, by diff ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default, deserialize_with = "null::as_default")]
    pub kind: String,
    /// The diff IDs, lowest layer first.
    #[serde(default, deserialize_with = "null::as_default")]
    pub diff_ids: Vec<DiffId>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl RootFs {
    /// The root file system of the layers `diff_ids`, lowest first.
    pub fn new(diff_ids: Vec<DiffId>) -> Self {
        Self { kind: "layers".to_owned(), diff_ids }
    }
}

/// The `config` object: how a container of the image runs. `None` means "not set"; an empty list is
/// a value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user`, `user:group`, or numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `port/protocol` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<Set>,
    /// `NAME=value` entries.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "null::in_optional_list"
    )]
    pub env: Option<Vec<String>>,
    /// The start of the command line; `cmd` follows it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "null::in_optional_list"
    )]
    pub entrypoint: Option<Vec<String>>,
    /// The default command, or default arguments of the entrypoint.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "null::in_optional_list"
    )]
    pub cmd: Option<Vec<String>>,
    /// Directories that get a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Set>,
    /// The working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Labels.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "null::in_optional_map"
    )]
    pub labels: Option<BTreeMap<String, String>>,
    /// The signal that stops the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Docker's health check, in Docker's JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Value>,
    /// Docker's build triggers for images that use this one as their base.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "null::in_optional_list"
    )]
    pub on_build: Option<Vec<String>>,
    /// The shell for commands in shell form.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "null::in_optional_list"
    )]
    pub shell: Option<Vec<String>>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl ImageConfig {
    /// The history entry of each layer, lowest first; `None` if their numbers differ.
    pub fn layer_history(&self) -> Option<Vec<&History>> {
        let steps: Vec<_> = self.history.iter().filter(|step| !step.empty_layer).collect();
        (steps.len() == self.rootfs.diff_ids.len()).then_some(steps)
    }

    /// The contents of each layer, lowest first, as far as the history has them.
    pub fn layer_contents(&self) -> Vec<LayerContents> {
        let Some(history) = self.layer_history() else {
            return vec![LayerContents::default(); self.rootfs.diff_ids.len()];
        };
        // The top layer's entry is from the last build; the base may be an image of this builder
        // too.
        let base = history.last().and_then(|step| step.base_layers()).unwrap_or(0);
        let contents = history.iter().enumerate();
        contents
            .map(|(index, step)| LayerContents { base: index < base, ..step.contents() })
            .collect()
    }
}
