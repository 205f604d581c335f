//! Expectations of an image as a user writes them, in TOML or JSON: plain data. Unknown keys are
//! errors. The doc comments of the fields become descriptions in the JSON schema.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CheckError;
use super::rules::{Mode, Sha256Digest, container, contradiction};
use super::text::{Pattern, Text};
use crate::document::{self, DocumentError};
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

/// An expectations file.
#[derive(Clone, Debug)]
pub struct ExpectationsFile {
    /// The expectations in the file.
    pub expectations: Expectations,
    /// The folder of the file; paths in the file are relative to it.
    pub folder: PathBuf,
}

impl ExpectationsFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read, is malformed, or has unknown keys.
    pub fn read(path: &Path) -> Result<Self, CheckError> {
        let text = crate::document::read(path, crate::document::MAX_SIZE)
            .map_err(crate::archive::ArchiveError::read(path))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { expectations: Expectations::parse(path, &text)?, folder })
    }
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
    /// A command line for the image's `/bin/sh`; replaces `Entrypoint` and `Cmd`. Cannot be combined
    /// with `command` and `entrypoint`.
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

impl Expectations {
    /// Parses `text`; errors name `path` as its file.
    ///
    /// # Errors
    /// If the text is malformed or has unknown keys.
    pub fn parse(path: &Path, text: &str) -> Result<Self, CheckError> {
        let expectations: Self =
            document::parse(path, text).map_err(|DocumentError { place, problem }| {
                CheckError::Expectations { place, problem }
            })?;
        match contradiction(&expectations) {
            None => Ok(expectations),
            Some(problem) => Err(CheckError::Expectations { place: text::path(path), problem }),
        }
    }

    /// Returns the JSON schema of an expectations file.
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Expectations::parse(Path::new("e.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_renamed_key_is_an_error_that_names_the_new_key() {
        for (text, line, old, new) in [
            ("[[run]]\nname='x'\nwithin=5\n", 3, "within", "timeout"),
            ("[[service]]\nname='x'\nup={ port=80 }\n", 3, "up", "ready"),
            ("[[service]]\nname='x'\n[service.ready]\nwithin=5\n", 4, "within", "timeout"),
            ("[[service]]\nname='x'\nready={}\n[service.stop]\nwithin=5\n", 5, "within", "timeout"),
            ("[[run]]\nname='x'\n[run.stdout]\nlacks='y'\n", 4, "lacks", "not_contains"),
        ] {
            let expected = format!("e.toml:{line}: unknown key {old:?}; it is now called {new:?}");
            assert_eq!(error(text), expected, "{text}");
        }
    }

    #[test]
    fn an_old_name_is_an_unknown_key_where_the_new_name_is_none() {
        let error = error("[image]\nwithin=5\n");
        assert!(
            error.starts_with("e.toml:2: unknown key \"within\"; valid keys: reference"),
            "{error}"
        );
    }

    #[test]
    fn a_malformed_value_is_an_error_with_its_line() {
        for (text, line, problem) in [
            (
                "[[file]]\npath='/x'\nmode='rwx'\n",
                3,
                "invalid mode \"rwx\"; expected permission bits in octal, such as \"0755\"",
            ),
            (
                "[[file]]\npath='/x'\nmode='17777'\n",
                3,
                "invalid mode \"17777\"; expected permission bits in octal, such as \"0755\"",
            ),
            (
                "[[file]]\npath='/x'\nsha256='sha256:12'\n",
                3,
                "invalid SHA-256 digest \"sha256:12\"; expected 64 hexadecimal digits",
            ),
            (
                "[[run]]\nname='x'\ncontainer={ shell='x', command=['y'] }\n",
                3,
                "\"shell\" cannot be combined with \"command\": it replaces both Entrypoint and Cmd",
            ),
            (
                "[[run]]\nname='x'\ncontainer={ shell='x', entrypoint=['y'] }\n",
                3,
                "\"shell\" cannot be combined with \"entrypoint\": it replaces both Entrypoint and Cmd",
            ),
            (
                "[[run]]\nname='x'\ncontainer={ working_dir='srv' }\n",
                3,
                "invalid working_dir \"srv\"; expected an absolute path",
            ),
        ] {
            assert_eq!(error(text), format!("e.toml:{line}: {problem}"), "{text}");
        }
    }

    #[test]
    fn a_service_that_contradicts_itself_is_an_error_that_names_it() {
        for (keys, problem) in [
            (
                "ready={ port=80 }\ncontainer={ network=false }",
                "service \"x\" has no network, so its port cannot be reached; leave out network",
            ),
            (
                "ready={}\nhttp=[{ port=80 }]\ncontainer={ network=false }",
                "service \"x\" has no network, so its port cannot be reached; leave out network",
            ),
            (
                "ready={}\nexit_code=0\nstop={}",
                "service \"x\" ends by itself with exit_code, so it cannot be stopped; leave out stop",
            ),
        ] {
            let text = format!("[[service]]\nname='x'\n{keys}\n");
            assert_eq!(error(&text), format!("e.toml: {problem}"), "{text}");
        }
    }

    #[test]
    fn a_mode_may_have_a_prefix_and_a_digest_upper_case_digits() {
        for (key, value) in [("mode", "0o4755"), ("mode", "755"), ("sha256", &"Ab".repeat(32))] {
            let text = format!("[[file]]\npath='/x'\n{key}='{value}'\n");
            assert!(Expectations::parse(Path::new("e.toml"), &text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_text_of_another_type_is_an_error_with_its_line() {
        let error = error("[[run]]\nname='x'\nstdout=5\n");
        assert!(error.starts_with("e.toml:3: invalid type: integer"), "{error}");
        assert!(error.contains("expected a string, or a table of equals, contains"), "{error}");
    }
}
