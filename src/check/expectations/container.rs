//! How a container is started.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::Mode;

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
    /// Whether the container has all capabilities and devices.
    pub privileged: bool,
    /// Whether the container has the settings of Kubernetes' restricted profile.
    pub restricted: bool,
    /// Capabilities that the container has or lacks, compared with the engine's default.
    pub capabilities: Capabilities,
    /// Supplementary groups, by number or name.
    pub groups: Vec<String>,
    /// Whether the root file system is mounted read-only.
    pub read_only: bool,
    /// Paths at which an empty file system in memory is mounted.
    pub tmpfs: Vec<String>,
    /// The memory limit in MiB.
    pub memory_mib: Option<u32>,
    /// The maximum number of processes and threads.
    pub pids_limit: Option<u32>,
    /// Whether a small init process runs as process 1 and reaps orphans.
    pub init: bool,
    /// Whether the container has a terminal; standard error is part of standard output then.
    pub tty: bool,
    /// The host name.
    pub hostname: Option<String>,
    /// Host names with their addresses.
    pub hosts: BTreeMap<String, String>,
    /// Kernel parameters, such as `net.ipv4.ip_unprivileged_port_start`.
    pub sysctls: BTreeMap<String, String>,
    /// Files that are written into the container before it starts.
    pub files: Vec<ContainerFile>,
    /// Files and folders of this host, copies of which are mounted.
    pub mounts: Vec<ContainerMount>,
}

/// Capabilities compared with the engine's default, such as `NET_ADMIN`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// Additional capabilities.
    pub add: Vec<String>,
    /// Capabilities that the container lacks; `ALL` for all.
    pub drop: Vec<String>,
}

/// A file that is written into a container, owned by root.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerFile {
    /// The absolute path in the container.
    pub path: String,
    /// The content.
    pub content: Option<String>,
    /// A file with the content, relative to this file.
    pub source: Option<PathBuf>,
    /// The content of `source`.
    #[serde(skip)]
    pub(in crate::check) bytes: Vec<u8>,
    /// The permission bits in octal; `"0644"` by default.
    pub mode: Option<Mode>,
}

impl ContainerFile {
    /// A file at `path`, an absolute path in the container, with this content.
    pub fn new(path: impl Into<String>, content: impl Into<String>) -> Self {
        let (path, content) = (path.into(), Some(content.into()));
        Self { path, content, source: None, bytes: Vec::new(), mode: None }
    }
}

/// A file or folder of this host, a copy of which is mounted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerMount {
    /// The absolute path in the container.
    pub path: String,
    /// The file or folder, relative to this file.
    pub source: PathBuf,
    /// Whether containers may change the copy, which they share then, and which keeps the owners;
    /// false by default: a copy for each container, owned by root.
    #[serde(default)]
    pub writable: bool,
}
