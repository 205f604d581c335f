//! Settings of containers that a kubelet implements with folders of its node, which it mounts into
//! pods: files, file systems in memory, `/etc/hosts`. CRI has nothing else for them.

use std::collections::BTreeMap;
use std::mem::take;
use std::time::Duration;

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::engine::{Engine, EngineError, FileToCopy, RunOptions, Settings, random_name};

/// The folder of the guest, in memory, with a folder for each container.
const FOLDER: &str = "/run/seatrial/containers";
/// Unpacks a tar in the folder `$1` with the option `$2`, and makes the other folders in it,
/// writable by all.
const SCRIPT: &str = r#"
folder=$1; owners=$2; shift 2; mkdir -p "$folder"; tar -x "$owners" -C "$folder"
for name; do mkdir -p "$folder/$name"; chmod 1777 "$folder/$name"; done"#;
/// The time limit for writing the files.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The beginning of a pod's `/etc/hosts` (`pkg/kubelet/kubelet_pods.go`,
/// `managedHostsFileContent`).
const HOSTS: &str = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
    fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";

/// The owners of files that are unpacked in the guest.
#[derive(Clone, Copy)]
pub(super) enum Owners {
    /// The numeric owners of the archive.
    Kept,
    /// Root.
    Root,
}

impl Daemon {
    /// Returns the name of a new folder of the guest, in memory, for files of containers.
    pub(super) fn new_folder(&self) -> String {
        self.new_folder_in(FOLDER)
    }

    /// Returns the name of a new folder of the guest that is on the disk with the engine's layers.
    pub(super) fn new_disk_folder(&self) -> String {
        self.new_folder_in(&format!("{}/seatrial-files", self.vm().family().store))
    }

    fn new_folder_in(&self, parent: &str) -> String {
        let folder = format!("{parent}/{}", random_name());
        self.note_folder(&folder);
        folder
    }

    /// Returns `options` with mounts of the node in the place of settings that an engine without
    /// Docker's API does not have, and of files in a read-only root file system. Adds the folder of
    /// the guest that it makes to `folders`.
    pub(super) async fn with_node_files(
        &self,
        mut options: RunOptions,
        folders: &mut Vec<String>,
    ) -> Result<RunOptions, HarnessError> {
        let Settings { tmpfs, hosts, files, read_only, .. } = &mut options.settings;
        let (tmpfs, hosts, files) = match self.engine() {
            Engine::Cri(_) => (take(tmpfs), take(hosts), take(files)),
            // Docker's API copies no files into a read-only root file system.
            Engine::Docker(_) if *read_only => (Vec::new(), BTreeMap::new(), take(files)),
            Engine::Docker(_) => return Ok(options),
        };
        if tmpfs.is_empty() && hosts.is_empty() && files.is_empty() {
            return Ok(options);
        }
        let mode = if *read_only { ":ro" } else { "" };
        let folder = self.new_folder();
        folders.push(folder.clone());
        let mut copies = Vec::new();
        for (number, file) in files.into_iter().enumerate() {
            options.binds.push(format!("{folder}/files/{number}:{}{mode}", file.path));
            copies.push(FileToCopy { path: format!("files/{number}"), ..file });
        }
        if !hosts.is_empty() {
            let lines = hosts.iter().map(|(name, address)| format!("{address}\t{name}\n"));
            let content = HOSTS.to_owned() + &lines.collect::<String>();
            let path = "hosts".to_owned();
            copies.push(FileToCopy { path, content: content.into_bytes(), mode: 0o644 });
            options.binds.push(format!("{folder}/hosts:/etc/hosts"));
        }
        let mounts: Vec<String> = (0..tmpfs.len()).map(|n| format!("tmpfs/{n}")).collect();
        for (name, path) in mounts.iter().zip(tmpfs) {
            options.binds.push(format!("{folder}/{name}:{path}"));
        }
        let failed = |error: std::io::Error| {
            EngineError::Unexpected(format!("failed to write files of a pod: {error}"))
        };
        let archive = FileToCopy::archive(&copies).map_err(failed)?;
        self.unpack(&folder, &archive, Owners::Root, &mounts).await?;
        Ok(options)
    }

    /// Unpacks a tar in a folder of the guest, and makes further folders in it.
    pub(super) async fn unpack(
        &self,
        folder: &str,
        archive: &[u8],
        owners: Owners,
        folders: &[String],
    ) -> Result<(), HarnessError> {
        let failed = |problem: String| {
            EngineError::Unexpected(format!("failed to write files into the guest: {problem}"))
        };
        let owners = match owners {
            Owners::Kept => "--numeric-owner",
            Owners::Root => "--no-same-owner",
        };
        let mut arguments = vec!["-ec", SCRIPT, "sh", folder, owners];
        arguments.extend(folders.iter().map(String::as_str));
        let mut agent = self.vm().agent(TIMEOUT).await?;
        let output = agent.run_with_input("/bin/sh", &arguments, archive, TIMEOUT).await?;
        match output.code {
            Some(0) => Ok(()),
            _ => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()).into()),
        }
    }
}
