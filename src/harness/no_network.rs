//! Containers without a network on Docker, made so that they start fast.
//!
//! For a container without a network, dockerd runs a program of itself that enters the container's
//! network namespace and has nothing to do there. Under emulation, its start takes a second or two.
//! With networking disabled altogether, runc makes the same namespace with the same loopback
//! interface. All that is missing are files that dockerd would mount: `/etc/hosts`,
//! `/etc/resolv.conf` and, since version 27, `/etc/hostname`.

use std::time::Duration;

use super::daemon::Daemon;
use super::error::HarnessError;
use super::name_files::NameFiles;
use crate::engine::{EngineError, RunOptions, random_name};

/// Makes the folder `$1` with a folder for each of the host names after `$2`, which has the files.
/// `$2` is dockerd's `/etc/hosts`.
const SCRIPT: &str = r#"
mkdir -p "$1"; cd "$1"; hosts=$2; servers=$(cat /etc/resolv.conf); shift 2; mkdir "$@"
for name; do
  printf %s "$hosts" >"$name/hosts"; printf '%s\n' "$servers" >"$name/resolv.conf"
  printf '%s\n' "$name" >"$name/hostname"
done"#;
/// `/etc/hosts` of a container without a network (`libnetwork/etchosts`, `Build`).
const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";
/// The files for as many containers are made at once. Most checks run fewer commands.
const COUNT: usize = 8;
/// The length of host names. Those that dockerd makes have as many characters.
const NAME_LENGTH: usize = 12;
/// The time limit for writing the files.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Daemon {
    /// Returns options for the same container as `options`, which starts faster if possible.
    pub(super) async fn without_networking(
        &self,
        options: RunOptions,
    ) -> Result<RunOptions, HarnessError> {
        let RunOptions { network, attachment, bare, settings, .. } = &options;
        let has_names = settings.hostname.is_some() || !settings.hosts.is_empty();
        let needs_dockerd = *network || attachment.is_some() || has_names;
        if !self.has_slow_networks() || *bare || needs_dockerd {
            return Ok(options);
        }
        let NameFiles { folder, hostname } = self.name_files().await?;
        let mut options = RunOptions { bare: true, ..options };
        for name in ["hosts", "resolv.conf", "hostname"] {
            let path = format!("/etc/{name}");
            if !options.binds.iter().any(|bind| bind.split(':').nth(1) == Some(&path)) {
                options.binds.push(format!("{folder}/{name}:{path}"));
            }
        }
        options.settings.hostname = Some(hostname);
        Ok(options)
    }

    /// Writes the files for the first containers, if the engine needs them. If that fails, it is
    /// tried again for the first container.
    pub(crate) async fn prepare_name_files(&self) {
        let mut unused = self.name_files.lock().await;
        if self.has_slow_networks() && unused.is_empty() {
            *unused = self.make_name_files().await.unwrap_or_default();
        }
    }

    fn has_slow_networks(&self) -> bool {
        self.vm().family().name == "docker"
    }

    async fn name_files(&self) -> Result<NameFiles, HarnessError> {
        let mut unused = self.name_files.lock().await;
        if unused.is_empty() {
            *unused = self.make_name_files().await?;
        }
        let none = || EngineError::Unexpected("no files for a container were made".to_owned());
        Ok(unused.pop().ok_or_else(none)?)
    }

    async fn make_name_files(&self) -> Result<Vec<NameFiles>, HarnessError> {
        let folder = self.new_folder();
        let names: Vec<String> =
            (0..COUNT).map(|_| random_name()[..NAME_LENGTH].to_owned()).collect();
        let mut arguments = vec!["-ec", SCRIPT, "sh", &folder, HOSTS];
        arguments.extend(names.iter().map(String::as_str));
        let mut agent = self.vm().agent(TIMEOUT).await?;
        let output = agent.run("/bin/sh", &arguments, TIMEOUT).await?;
        if output.code != Some(0) {
            let problem = output.stderr.trim();
            let problem = format!("failed to write /etc/hosts in the guest: {problem}");
            return Err(EngineError::Unexpected(problem).into());
        }
        let files = |hostname| NameFiles { folder: format!("{folder}/{hostname}"), hostname };
        Ok(names.into_iter().map(files).collect())
    }
}
