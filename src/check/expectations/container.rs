//! How a container is started.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::values::Mode;
use crate::text;

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

/// Sysctls that the restricted profile allows.
const SAFE_SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

/// Describes a setting of `spec` that the restricted profile forbids, if there is one.
fn restriction(spec: &ContainerSpec) -> Option<String> {
    if !spec.restricted {
        return None;
    }
    let allowed = |name: &&String| {
        let name = name.to_ascii_uppercase();
        name.trim_start_matches("CAP_") != "NET_BIND_SERVICE"
    };
    if spec.privileged {
        return Some("\"restricted\" and \"privileged\" exclude each other".to_owned());
    }
    if let Some(name) = spec.capabilities.add.iter().find(allowed) {
        let name = text::quote(name);
        return Some(format!(
            "\"restricted\" forbids the capability {name}; only NET_BIND_SERVICE may be added"
        ));
    }
    let unsafe_sysctl = |name: &&String| !SAFE_SYSCTLS.contains(&name.as_str());
    let name = spec.sysctls.keys().find(unsafe_sysctl)?;
    Some(format!("\"restricted\" forbids the sysctl {}", text::quote(name)))
}

/// Reads a container whose keys do not contradict each other.
pub(super) fn container<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ContainerSpec, D::Error> {
    let spec = ContainerSpec::deserialize(deserializer)?;
    let replaced = [("command", spec.command.is_some()), ("entrypoint", spec.entrypoint.is_some())];
    if let (true, Some((key, _))) = (spec.shell.is_some(), replaced.iter().find(|(_, set)| *set)) {
        return Err(D::Error::custom(format!(
            "\"shell\" and \"{key}\" exclude each other: a shell replaces both"
        )));
    }
    if let Some(problem) = restriction(&spec) {
        return Err(D::Error::custom(problem));
    }
    if spec.read_only && !spec.files.is_empty() {
        return Err(D::Error::custom(
            "\"read_only\" and \"files\" exclude each other: Docker copies no files into a \
             container with a read-only root file system; use \"mounts\"",
        ));
    }
    let working_dir = spec.working_dir.iter().map(|path| ("working_dir", path));
    let files = spec.files.iter().map(|file| ("path", &file.path));
    let tmpfs = spec.tmpfs.iter().map(|path| ("tmpfs", path));
    let mounts = spec.mounts.iter().map(|mount| ("path", &mount.path));
    let mut paths = working_dir.chain(files).chain(tmpfs).chain(mounts);
    match paths.find(|(_, path)| !path.starts_with('/')) {
        None => match spec.mounts.iter().find(|mount| mount.path.contains(':')) {
            None => Ok(spec),
            // Engines separate the parts of a mount with it.
            Some(ContainerMount { path, .. }) => {
                Err(D::Error::custom(format!("invalid path {}; it has a colon", text::quote(path))))
            }
        },
        Some((key, path)) => Err(D::Error::custom(format!(
            "invalid {key} {}; expected an absolute path",
            text::quote(path)
        ))),
    }
}
