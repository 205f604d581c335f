//! Converts a [`ContainerSpec`] into options for an engine.

use crate::check::expectations::ContainerSpec;
use crate::engine::RunOptions;

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
        }
    }
}
