//! The keys of a container-structure-test file, as its own types have them. A key without a value
//! is as good as absent.

use serde::{Deserialize, Deserializer};

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StructureTest {
    pub schema_version: String,
    #[serde(default, deserialize_with = "or_default")]
    pub global_env_vars: Vec<Variable>,
    #[serde(default, deserialize_with = "or_default")]
    pub command_tests: Vec<CommandTest>,
    #[serde(default, deserialize_with = "or_default")]
    pub file_existence_tests: Vec<FileExistenceTest>,
    #[serde(default, deserialize_with = "or_default")]
    pub file_content_tests: Vec<FileContentTest>,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata_test: MetadataTest,
    #[serde(default, deserialize_with = "or_default")]
    pub license_tests: Vec<LicenseTest>,
    #[serde(default, deserialize_with = "or_default")]
    pub container_run_options: ContainerRunOptions,
}

/// A variable, or a label.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Variable {
    pub key: String,
    #[serde(default, deserialize_with = "or_default")]
    pub value: String,
    #[serde(default, deserialize_with = "or_default")]
    pub is_regex: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CommandTest {
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub setup: Vec<Vec<String>>,
    #[serde(default, deserialize_with = "or_default")]
    pub teardown: Vec<Vec<String>>,
    #[serde(default, deserialize_with = "or_default")]
    pub env_vars: Vec<Variable>,
    #[serde(default, deserialize_with = "or_default")]
    pub exit_code: i64,
    pub command: String,
    #[serde(default, deserialize_with = "or_default")]
    pub args: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub expected_output: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub excluded_output: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub expected_error: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub excluded_error: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FileExistenceTest {
    pub name: String,
    pub path: String,
    #[serde(default)]
    pub should_exist: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    pub permissions: String,
    #[serde(default)]
    pub uid: Option<i64>,
    #[serde(default)]
    pub gid: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub is_executable_by: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FileContentTest {
    pub name: String,
    pub path: String,
    #[serde(default, deserialize_with = "or_default")]
    pub expected_contents: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub excluded_contents: Vec<String>,
}

/// Expectations of the config. Lists that are absent are not checked; an empty list must be empty.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct MetadataTest {
    #[serde(deserialize_with = "or_default")]
    pub env_vars: Vec<Variable>,
    #[serde(deserialize_with = "or_default")]
    pub unbound_env_vars: Vec<Variable>,
    #[serde(deserialize_with = "or_default")]
    pub exposed_ports: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub unexposed_ports: Vec<String>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    pub workdir: String,
    #[serde(deserialize_with = "or_default")]
    pub volumes: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub unmounted_volumes: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub labels: Vec<Variable>,
    #[serde(deserialize_with = "or_default")]
    pub user: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LicenseTest {
    #[serde(default, deserialize_with = "or_default")]
    pub debian: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub files: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct ContainerRunOptions {
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    #[serde(deserialize_with = "or_default")]
    pub privileged: bool,
    #[serde(deserialize_with = "or_default")]
    pub allocate_tty: bool,
    #[serde(deserialize_with = "or_default")]
    pub env_file: String,
    #[serde(deserialize_with = "or_default")]
    pub env_vars: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub capabilities: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub bind_mounts: Vec<String>,
}

/// Reads a value, or its default in the place of `null`.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
