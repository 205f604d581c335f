//! Converts a [`ContainerSpec`] into options for an engine.

use crate::check::expectations::{ContainerFile, ContainerSpec, Mode};
use crate::engine::{FileToCopy, RunOptions, Settings};

impl ContainerSpec {
    /// Returns the options for a container, which has a network by default if `network` is true.
    pub(super) fn options(&self, network: bool) -> RunOptions {
        let shell = self
            .shell
            .as_ref()
            .map(|line| vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()]);
        RunOptions {
            command: if shell.is_some() { Some(Vec::new()) } else { self.command.clone() },
            entrypoint: shell.or_else(|| self.entrypoint.clone()),
            env: self.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            user: self.user.clone(),
            working_dir: self.working_dir.clone(),
            network: self.network.unwrap_or(network),
            stdin: self.stdin.clone(),
            volumes: self.volumes.clone(),
            bare: false,
            binds: Vec::new(),
            settings: self.settings(),
        }
    }

    fn settings(&self) -> Settings {
        let file = |file: &ContainerFile| FileToCopy {
            path: file.path.clone(),
            content: file.content.clone().into_bytes(),
            mode: file.mode.as_ref().map_or(0o644, Mode::bits),
        };
        Settings {
            privileged: self.privileged,
            added_capabilities: self.capabilities.add.clone(),
            dropped_capabilities: self.capabilities.drop.clone(),
            groups: self.groups.clone(),
            read_only: self.read_only,
            tmpfs: self.tmpfs.clone(),
            memory: self.memory_mib.map(|mib| u64::from(mib) << 20),
            pids_limit: self.pids_limit,
            init: self.init,
            tty: self.tty,
            hostname: self.hostname.clone(),
            hosts: self.hosts.clone(),
            sysctls: self.sysctls.clone(),
            files: self.files.iter().map(file).collect(),
        }
    }
}
