//! What an image should be: expectations as people write them, TOML or JSON. Plain data; unknown keys are errors.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::CheckError;
use super::text::{Pattern, Text};

/// Everything that is expected of an image.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// What the image's config says.
    pub image: ImageExpectations,
    /// The environment, in the config and in a running container alike.
    pub env: EnvExpectations,
    /// Files in the image.
    #[serde(alias = "files")]
    pub file: Vec<FileExpectations>,
    /// Commands that are run in containers, to their end.
    #[serde(alias = "runs")]
    pub run: Vec<RunExpectations>,
    /// Services that are started, probed and stopped.
    #[serde(alias = "services")]
    pub service: Vec<ServiceExpectations>,
}

/// What the image's config says. What is left out is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageExpectations {
    /// `name:tag`, as the image carries it and the engine lists it.
    pub reference: Option<String>,
    /// The tag alone.
    pub tag: Option<String>,
    /// GOARCH, such as `amd64` or `arm64`.
    pub architecture: Option<String>,
    /// The variant of the architecture, such as `v7`.
    pub variant: Option<String>,
    /// GOOS.
    pub os: Option<String>,
    /// `Entrypoint`; an empty list is met by none and by an empty one.
    pub entrypoint: Option<Vec<String>>,
    /// `Cmd`, likewise.
    pub cmd: Option<Vec<String>>,
    /// `User`.
    pub user: Option<String>,
    /// `WorkingDir`.
    pub working_dir: Option<String>,
    /// Labels that are there, with their values.
    pub labels: BTreeMap<String, String>,
    /// Exactly these `ExposedPorts`, such as `80/tcp`.
    pub exposed_ports: Option<Vec<String>>,
    /// Exactly these `Volumes`.
    pub volumes: Option<Vec<String>>,
    /// `StopSignal`.
    pub stop_signal: Option<String>,
    /// `Healthcheck`, as Docker writes it.
    pub healthcheck: Option<Value>,
    /// `Shell`.
    pub shell: Option<Vec<String>>,
    /// `created`, RFC 3339.
    pub created: Option<String>,
    /// Exactly so many layers.
    pub layers: Option<usize>,
    /// No more layers than these.
    pub max_layers: Option<usize>,
    /// No more bytes in all layers, uncompressed, than these.
    pub max_size: Option<u64>,
    /// Whether building it again gives the same image; for recipes alone.
    pub reproducible: Option<bool>,
    /// Another image, relative to this file, and how many of its layers this one has, from the bottom.
    pub shares_layers: Option<SharedLayers>,
}

impl ImageExpectations {
    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Layers that are had in common with another image.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedLayers {
    /// The other image.
    pub with: String,
    /// How many at least; all of the other's where left out.
    pub at_least: Option<usize>,
}

/// The environment.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvExpectations {
    /// Names that are there, with their values.
    pub has: BTreeMap<String, String>,
    /// Exactly these names and values in the config, and no others.
    pub exactly: Option<BTreeMap<String, String>>,
    /// Names that are not there.
    pub absent: Vec<String>,
    /// Names that are there, with a regular expression that their value matches.
    pub matches: BTreeMap<String, Pattern>,
    /// Whether no name may occur twice. It is looked at unless this is false.
    pub unique: Option<bool>,
}

/// A file in the image.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileExpectations {
    /// Where. Symlinks on the way are followed, one at the end is not.
    pub path: String,
    /// Whether there is anything at all; it is unless this is false.
    pub exists: Option<bool>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Option<FileType>,
    /// The permission bits in octal, such as `"0755"`.
    pub mode: Option<String>,
    /// The numeric user.
    pub uid: Option<u64>,
    /// The numeric group.
    pub gid: Option<u64>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// Where a symlink leads.
    pub target: Option<String>,
    /// The digest of the content, 64 hex digits.
    pub sha256: Option<String>,
    /// The content as text.
    pub content: Option<Text>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A device or a pipe.
    Special,
}

/// How a container is run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerSpec {
    /// The command, in the place of the image's.
    pub command: Option<Vec<String>>,
    /// A line for the image's `/bin/sh`, in the place of entrypoint and command.
    pub shell: Option<String>,
    /// In the place of the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Over the image's environment.
    pub env: BTreeMap<String, String>,
    /// The user, by number or name.
    pub user: Option<String>,
    /// Where the command starts.
    pub working_dir: Option<String>,
    /// Places that get an empty volume, over those that the image names.
    pub volumes: Vec<String>,
    /// Whether it has a network. It has none unless this is true; a service has.
    pub network: Option<bool>,
    /// What it is given on standard input.
    pub stdin: Option<String>,
}

/// A command that is run to its end.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunExpectations {
    /// What it shows, for the report.
    pub name: String,
    /// How it is run.
    #[serde(default)]
    pub container: ContainerSpec,
    /// How it ends; 0 where left out. A command that a signal ends has 128 and the signal's number.
    pub exit_code: Option<i64>,
    /// What it prints on standard output.
    pub stdout: Option<Text>,
    /// What it prints on standard error.
    pub stderr: Option<Text>,
    /// How many seconds it may take; 60 where left out.
    pub within: Option<u64>,
}

/// A service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceExpectations {
    /// What it is, for the report.
    pub name: String,
    /// How it is run.
    #[serde(default)]
    pub container: ContainerSpec,
    /// When it is up.
    pub up: Up,
    /// What is asked of it over HTTP, from outside its container.
    #[serde(default)]
    pub http: Vec<HttpExpectations>,
    /// How it stops.
    pub stop: Option<StopExpectations>,
}

/// When a service is up: all of what is given must be so.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Up {
    /// A port accepts connections from outside the container.
    pub port: Option<u16>,
    /// It has printed a line with this text.
    pub log: Option<String>,
    /// The image's own healthcheck says so.
    pub healthy: Option<bool>,
    /// How many seconds it may take; 60 where left out.
    pub within: Option<u64>,
}

/// A request and its answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpExpectations {
    /// The port of the container.
    pub port: u16,
    /// The path; `/` where left out.
    pub path: Option<String>,
    /// The status; 200 where left out.
    pub status: Option<u16>,
    /// The body.
    pub body: Option<Text>,
}

/// How a service stops when it is asked to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopExpectations {
    /// Within how many seconds, or it is killed; 10 where left out.
    pub within: Option<u64>,
    /// With this exit code.
    pub exit_code: Option<i64>,
}

impl Expectations {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is malformed, or has unknown keys.
    pub fn read(path: &Path) -> Result<Self, CheckError> {
        let text =
            std::fs::read_to_string(path).map_err(crate::archive::ArchiveError::read(path))?;
        Self::parse(path, &text)
    }

    /// Reads `text`, which is said to be from `path`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<Self, CheckError> {
        crate::document::parse(path, text).map_err(|(line, problem)| {
            let place = line.map_or_else(
                || path.display().to_string(),
                |line| format!("{}:{line}", path.display()),
            );
            CheckError::Expectations { place, problem }
        })
    }

    /// The JSON schema of what such a file may hold.
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}
