//! Expectations of an image as a user writes them, in TOML or JSON: plain data. Unknown keys are
//! errors. The doc comments of the fields become descriptions in the JSON schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::text::{Pattern, Text};
use super::values::{Mode, Sha256Digest};
use crate::text;

/// Everything that is expected of an image. What is left out is not checked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// The image's config and layers.
    pub image: ImageExpectations,
    /// The environment, in the config and in a running container.
    pub env: EnvExpectations,
    /// Files in the image.
    #[serde(alias = "files")]
    pub file: Vec<FileExpectations>,
    /// Commands that are run in containers until they end.
    #[serde(alias = "runs")]
    pub run: Vec<RunExpectations>,
    /// Services that are started, sent requests and stopped.
    #[serde(alias = "services")]
    pub service: Vec<ServiceExpectations>,
}

/// Expectations of the image's config and layers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageExpectations {
    /// `name:tag`, in the archive and in the engine's list of images.
    pub reference: Option<String>,
    /// The tag alone.
    pub tag: Option<String>,
    /// The architecture as Go names it, such as `amd64` or `arm64`.
    pub architecture: Option<String>,
    /// The variant of the architecture, such as `v7`.
    pub variant: Option<String>,
    /// The operating system as Go names it.
    pub os: Option<String>,
    /// `Entrypoint`; an empty list also matches an image without one.
    pub entrypoint: Option<Vec<String>>,
    /// `Cmd`; an empty list also matches an image without one.
    pub cmd: Option<Vec<String>>,
    /// `User`.
    pub user: Option<String>,
    /// `WorkingDir`.
    pub working_dir: Option<String>,
    /// Labels with their values; other labels are allowed.
    pub labels: BTreeMap<String, String>,
    /// Exactly these `ExposedPorts`, such as `80/tcp`, in any order.
    pub exposed_ports: Option<Vec<String>>,
    /// Exactly these `Volumes`, in any order.
    pub volumes: Option<Vec<String>>,
    /// `StopSignal`.
    pub stop_signal: Option<String>,
    /// `Healthcheck`, as Docker's JSON has it.
    pub healthcheck: Option<Value>,
    /// `Shell`; an empty list also matches an image without one.
    pub shell: Option<Vec<String>>,
    /// The creation date, RFC 3339.
    pub created: Option<String>,
    /// The exact number of layers.
    pub layers: Option<usize>,
    /// The maximum number of layers.
    pub max_layers: Option<usize>,
    /// The maximum size of all layers together, uncompressed, in bytes.
    pub max_size: Option<u64>,
    /// Whether a second build must give the same image; for recipes only.
    pub reproducible: Option<bool>,
    /// Layers in common with another image.
    pub shares_layers: Option<SharedLayers>,
}

impl ImageExpectations {
    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The lowest layers, in common with another image.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedLayers {
    /// The path of the other image, relative to this file.
    pub with: String,
    /// The minimum number of common layers; by default all layers of the other image.
    pub at_least: Option<usize>,
}

/// Expectations of the environment.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvExpectations {
    /// Variables with their values; others are allowed.
    pub has: BTreeMap<String, String>,
    /// Exactly these variables and values in the config, and no others.
    pub exactly: Option<BTreeMap<String, String>>,
    /// Variables that must not exist.
    pub absent: Vec<String>,
    /// Variables with a regular expression that must match their value.
    pub matches: BTreeMap<String, Pattern>,
    /// Whether each name must occur only once; true by default.
    pub unique: Option<bool>,
}

/// Expectations of a file in the image.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileExpectations {
    /// The path. Symlinks in parent folders are followed, a symlink at the path itself is not.
    pub path: String,
    /// Whether the file exists; true by default.
    pub exists: Option<bool>,
    /// The type of the file.
    #[serde(rename = "type")]
    pub kind: Option<FileType>,
    /// The permission bits in octal, such as `"0755"`.
    pub mode: Option<Mode>,
    /// The numeric user ID.
    pub uid: Option<u64>,
    /// The numeric group ID.
    pub gid: Option<u64>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The target of a symlink.
    pub target: Option<String>,
    /// The SHA-256 digest of the content, 64 hex digits.
    pub sha256: Option<Sha256Digest>,
    /// The content as text.
    pub content: Option<Text>,
}

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A device or a named pipe.
    Special,
}

/// How a container is started. What is left out is as in the image.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerSpec {
    /// The command; replaces the image's `Cmd`.
    pub command: Option<Vec<String>>,
    /// A command line for the image's `/bin/sh`; replaces `Entrypoint` and `Cmd`, so neither
    /// `command` nor `entrypoint` may be given too.
    pub shell: Option<String>,
    /// The entrypoint; replaces the image's `Entrypoint`.
    pub entrypoint: Option<Vec<String>>,
    /// Variables that are added to the image's environment or override it.
    pub env: BTreeMap<String, String>,
    /// The user, by number or name.
    pub user: Option<String>,
    /// The folder in which the command starts: an absolute path.
    pub working_dir: Option<String>,
    /// Paths that get an empty volume, in addition to the image's volumes.
    pub volumes: Vec<String>,
    /// Whether the container has a network; by default false for `run`, true for `service`.
    pub network: Option<bool>,
    /// Text on standard input.
    pub stdin: Option<String>,
}

/// A command that is run until it ends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunExpectations {
    /// The name of the test case.
    pub name: String,
    /// How the container is started.
    #[serde(default, deserialize_with = "container")]
    pub container: ContainerSpec,
    /// The exit code; 0 by default. A command that a signal ends has 128 plus the signal's number.
    pub exit_code: Option<i64>,
    /// The text on standard output.
    pub stdout: Option<Text>,
    /// The text on standard error.
    pub stderr: Option<Text>,
    /// The time limit for the command in seconds; 60 by default.
    pub timeout: Option<u64>,
}

/// A service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceExpectations {
    /// The name of the test case.
    pub name: String,
    /// How the container is started.
    #[serde(default, deserialize_with = "container")]
    pub container: ContainerSpec,
    /// When the service is ready.
    pub ready: ReadyConditions,
    /// HTTP requests from outside of the container, with the expected answers.
    #[serde(default)]
    pub http: Vec<HttpExpectations>,
    /// How the service stops.
    pub stop: Option<StopExpectations>,
    /// The exit code of a service that ends by itself after the requests. Without it, the service
    /// must not end before it is stopped.
    pub exit_code: Option<i64>,
}

/// When a service is ready: all given conditions must be met.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadyConditions {
    /// A TCP port that accepts connections from outside of the container.
    pub port: Option<u16>,
    /// Text that the container has printed.
    pub log: Option<String>,
    /// Whether the image's own health check must succeed.
    pub healthy: Option<bool>,
    /// The time limit in seconds; 60 by default.
    pub timeout: Option<u64>,
}

/// An HTTP request and its answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpExpectations {
    /// The port of the container.
    pub port: u16,
    /// The path of the GET request; `/` by default.
    pub path: Option<String>,
    /// The status; 200 by default.
    pub status: Option<u16>,
    /// The body.
    pub body: Option<Text>,
}

/// How a service stops after its stop signal.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopExpectations {
    /// The time until the service is killed, in seconds; 10 by default. Being killed is a failure.
    pub timeout: Option<u64>,
    /// The exit code.
    pub exit_code: Option<i64>,
}

/// Reads a container whose keys do not contradict each other.
fn container<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ContainerSpec, D::Error> {
    let spec = ContainerSpec::deserialize(deserializer)?;
    let replaced = [("command", spec.command.is_some()), ("entrypoint", spec.entrypoint.is_some())];
    if let (true, Some((key, _))) = (spec.shell.is_some(), replaced.iter().find(|(_, set)| *set)) {
        return Err(D::Error::custom(format!(
            "\"shell\" and \"{key}\" exclude each other: a shell replaces both"
        )));
    }
    match spec.working_dir.as_deref().filter(|path| !path.starts_with('/')) {
        None => Ok(spec),
        Some(path) => Err(D::Error::custom(format!(
            "invalid working_dir {}; expected an absolute path",
            text::quote(path)
        ))),
    }
}
