//! Settings of a container's isolation and resources, beyond what the image says.

use std::collections::BTreeMap;

use bollard::models::HostConfig;

/// Settings of a container. The default is the engine's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether the container has all capabilities and devices.
    pub privileged: bool,
    /// Capabilities in addition to the engine's default, such as `NET_ADMIN`.
    pub added_capabilities: Vec<String>,
    /// Capabilities of the engine's default that the container lacks; `ALL` for all.
    pub dropped_capabilities: Vec<String>,
    /// Supplementary groups, by number or name.
    pub groups: Vec<String>,
    /// Whether the container's processes can never gain privileges, such as by setuid files.
    pub no_new_privileges: bool,
    /// Whether system calls are restricted by the engine's own seccomp profile, also where that is
    /// not the default: in pods.
    pub default_seccomp: bool,
    /// Whether the root file system is mounted read-only.
    pub read_only: bool,
    /// Paths at which an empty file system in memory is mounted.
    pub tmpfs: Vec<String>,
    /// The memory limit in bytes.
    pub memory: Option<u64>,
    /// The maximum number of processes and threads.
    pub pids_limit: Option<u32>,
    /// Whether a small init process runs as process 1 and reaps orphans.
    pub init: bool,
    /// Whether the container has a terminal. Standard error is part of standard output then.
    pub tty: bool,
    /// The host name.
    pub hostname: Option<String>,
    /// Host names with their addresses, in addition to the engine's.
    pub hosts: BTreeMap<String, String>,
    /// Kernel parameters, such as `net.ipv4.ip_unprivileged_port_start`.
    pub sysctls: BTreeMap<String, String>,
    /// Files that are written into the container before it starts. With `read_only`, they are
    /// mounted read-only, which only [`harness`](crate::harness) can do.
    pub files: Vec<FileToCopy>,
}

/// A file that is written into a container. Its owner is root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileToCopy {
    /// The absolute path in the container. Folders that do not exist are created.
    pub path: String,
    /// The content.
    pub content: Vec<u8>,
    /// The permission bits.
    pub mode: u32,
}

impl FileToCopy {
    /// Returns a tar of `files`.
    pub(crate) fn archive(files: &[Self]) -> std::io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for file in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(file.content.len() as u64);
            header.set_mode(file.mode);
            let path = file.path.trim_start_matches('/');
            archive.append_data(&mut header, path, file.content.as_slice())?;
        }
        archive.into_inner()
    }
}

impl Settings {
    /// Whether there are settings that a kubelet implements with folders of its node.
    pub(crate) fn needs_node(&self) -> bool {
        !self.tmpfs.is_empty() || !self.hosts.is_empty() || !self.files.is_empty()
    }

    /// Whether all settings are the engine's defaults.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Converts the settings into those of Docker's API, except for `tty` and `hostname`, which
    /// belong to the container's config.
    pub(super) fn host_config(&self) -> HostConfig {
        let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        let hosts: Vec<String> =
            self.hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect();
        let tmpfs = self.tmpfs.iter().map(|path| (path.clone(), String::new())).collect();
        let sysctls = self.sysctls.clone().into_iter().collect();
        HostConfig {
            privileged: self.privileged.then_some(true),
            cap_add: list(&self.added_capabilities),
            cap_drop: list(&self.dropped_capabilities),
            security_opt: self.no_new_privileges.then(|| vec!["no-new-privileges".to_owned()]),
            group_add: list(&self.groups),
            readonly_rootfs: self.read_only.then_some(true),
            tmpfs: (!self.tmpfs.is_empty()).then_some(tmpfs),
            memory: self.memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            pids_limit: self.pids_limit.map(i64::from),
            init: self.init.then_some(true),
            extra_hosts: list(&hosts),
            sysctls: (!self.sysctls.is_empty()).then_some(sysctls),
            ..HostConfig::default()
        }
    }
}
