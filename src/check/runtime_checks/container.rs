//! Converts a [`ContainerSpec`] into options for an engine.

use crate::check::expectations::{ContainerFile, ContainerMount, ContainerSpec, Mode};
use crate::check::verdict::Checks;
use crate::engine::{FileToCopy, Mount, RunOptions, Settings};
use crate::text::value;

impl ContainerSpec {
    /// Returns the options for a container, which has a network by default if `network` is true.
    pub(super) fn options(&self, network: bool) -> RunOptions {
        let shell = self
            .shell
            .as_ref()
            .map(|line| vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()]);
        let mount = |mount: &ContainerMount| Mount {
            writable: mount.writable,
            ..Mount::new(&mount.source, &mount.path)
        };
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
            mounts: self.mounts.iter().map(mount).collect(),
            attachment: None,
            pod: None,
            settings: self.settings(),
        }
    }

    fn dropped_capabilities(&self) -> Vec<String> {
        let all = self.restricted.then(|| "ALL".to_owned());
        self.capabilities.drop.iter().cloned().chain(all).collect()
    }

    /// Describes how the user of the container violates the restricted profile, if it does.
    /// `of_image` is the image's user. A kubelet refuses to start such a container.
    fn user_violation(&self, of_image: Option<&str>) -> Option<String> {
        let user = self.user.as_deref().or(of_image).unwrap_or_default();
        let name = user.split(':').next().unwrap_or_default();
        match name.parse::<u64>() {
            _ if !self.restricted => None,
            Ok(0) => Some("0, which is root".to_owned()),
            Ok(_) => None,
            Err(_) if name.is_empty() => Some("no user, which is root".to_owned()),
            Err(_) => Some(format!("{}, a name, which may be root", value::quote(name))),
        }
    }

    /// Returns a failed check if the restricted profile forbids the user of the container.
    pub(super) fn restricted_user(&self, of_image: Option<&str>) -> Option<Checks> {
        self.restricted_user_of("user", of_image)
    }

    /// Like [`restricted_user`](Self::restricted_user), with a subject that names the container.
    pub(super) fn restricted_user_of(
        &self,
        subject: &str,
        of_image: Option<&str>,
    ) -> Option<Checks> {
        let found = self.user_violation(of_image)?;
        let mut checks = Checks::default();
        let expected = "a number other than 0, for the restricted profile";
        checks.record(subject, expected, found, false);
        Some(checks)
    }

    fn settings(&self) -> Settings {
        let file = |file: &ContainerFile| FileToCopy {
            path: file.path.clone(),
            content: file.content.clone().map_or_else(|| file.bytes.clone(), String::into_bytes),
            mode: file.mode.as_ref().map_or(0o644, Mode::bits),
        };
        Settings {
            privileged: self.privileged,
            added_capabilities: self.capabilities.add.clone(),
            dropped_capabilities: self.dropped_capabilities(),
            no_new_privileges: self.restricted,
            default_seccomp: self.restricted,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_restricted_profile_needs_a_user_by_number_other_than_root() {
        let violation = |user: Option<&str>, of_image: Option<&str>| {
            let user = user.map(str::to_owned);
            ContainerSpec { user, restricted: true, ..ContainerSpec::default() }
                .user_violation(of_image)
        };
        assert_eq!(violation(None, Some("7:8")), None);
        assert_eq!(violation(Some("7"), None), None);
        assert_eq!(violation(None, None).as_deref(), Some("no user, which is root"));
        assert_eq!(violation(Some("0:7"), Some("7")).as_deref(), Some("0, which is root"));
        let named = violation(None, Some("app"));
        assert_eq!(named.as_deref(), Some("\"app\", a name, which may be root"));
        let default = ContainerSpec::default();
        assert_eq!(default.user_violation(None), None);
    }
}
