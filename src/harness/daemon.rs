//! A ready engine in a VM of its own.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Mutex;

use super::HarnessError;
use super::leftovers::Leftovers;
use super::name_files::NameFiles;
use crate::engine::{Container, Docker, Engine, Timeline};
use crate::text::SafeWriter;
use crate::vm::instance::units;
use crate::vm::pool::{
    Layered, LayeredSnapshot, OwnVms, PrepareOptions, prepare, report_waiting, shared, start,
};
use crate::vm::{CommandOutput, Guest, NamedVm, Options, ReadyVm, Vm};

/// The time limit for a connection to the guest agent.
const AGENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The time in which containers, images and folders that are no longer needed are removed from a VM
/// that lives on.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(60);

/// A ready engine in a VM.
///
/// A VM of [`start`](Self::start) is killed when this is dropped. A VM of [`shared`](Self::shared)
/// is killed when the process exits, and one of [`attach`](Self::attach) continues until
/// `seatrial vm down`; containers that were not removed keep running in them.
#[derive(Debug)]
pub struct Daemon {
    ready: ReadyVm,
    /// The folders of the guest with writable copies of files of this host, by their sources.
    pub(super) writable_copies: Mutex<BTreeMap<PathBuf, String>>,
    /// Files for the next containers without a network.
    pub(super) name_files: Mutex<Vec<NameFiles>>,
    leftovers: Leftovers,
}

impl From<ReadyVm> for Daemon {
    fn from(ready: ReadyVm) -> Self {
        Self {
            ready,
            writable_copies: Mutex::default(),
            name_files: Mutex::default(),
            leftovers: Leftovers::default(),
        }
    }
}

impl Daemon {
    /// Starts a VM of the guest called `guest`, such as `docker-28`, and waits until its engine is
    /// ready. The guest is assembled first and its snapshot made, if they are missing.
    ///
    /// # Errors
    /// If the guest cannot be assembled, the VM cannot be started, or the engine does not become
    /// ready in time. The error then has a report of the guest: units, journal, console.
    pub async fn start(guest: &str, options: Options) -> Result<Self, HarnessError> {
        report_waiting(print_waiting);
        // Starting the VM makes the snapshot, if it needs one.
        let only_assemble = PrepareOptions { snapshot: false, ..PrepareOptions::default() };
        let guest = prepare(guest, &only_assemble, &mut |_| ()).await?;
        Ok(start::start(&guest, &options, OwnVms::Stay).await?.into())
    }

    /// Returns a handle of a VM that all callers in this process share: the first one starts it, as
    /// [`start`](Self::start) does, and it runs until the process exits. For tests, which then
    /// share one VM in each test binary; a test runner that starts a process for each test starts
    /// a VM for each, too. Other `options` mean another VM.
    ///
    /// Each handle has connections of its own, so that they do not end with the async runtime of
    /// another test.
    ///
    /// # Errors
    /// Like [`start`](Self::start), and if the VM has ended.
    pub async fn shared(guest: &str, options: Options) -> Result<Self, HarnessError> {
        report_waiting(print_waiting);
        Ok(shared::get(guest, options).await?.into())
    }

    /// Starts a VM of an assembled guest; otherwise like [`start`](Self::start). If all VM slots
    /// are in use by VMs of the same task, waits until one of them ends.
    pub(crate) async fn start_guest(
        guest: &Guest,
        options: &Options,
    ) -> Result<Self, HarnessError> {
        Ok(start::start(guest, options, OwnVms::End).await?.into())
    }

    /// Connects to a named VM, which was started by `seatrial vm up`. It continues when this is
    /// dropped, with all that is left in it: see [`remove_leftovers`](Self::remove_leftovers). If
    /// `name` is `None`, this is the VM that the environment variable `SEATRIAL_VM` names, or else
    /// the only one.
    ///
    /// # Errors
    /// If there is no such VM, or its engine does not answer.
    pub async fn attach(name: Option<&str>) -> Result<Self, HarnessError> {
        Ok(NamedVm::find(name)?.attach().await?.into())
    }

    /// Starts a VM of an assembled guest, with snapshots that have layers.
    pub(crate) async fn start_layered(
        guest: &Guest,
        options: &Options,
        own_vms: OwnVms,
        layered: &Layered,
    ) -> Result<Self, HarnessError> {
        Ok(start::start_layered(guest, options, own_vms, layered).await?.into())
    }

    /// Ends the VM, and saves it with the layers that its engine has; see [`ReadyVm::save`].
    pub(crate) async fn save(
        self,
        guest: &Guest,
        chain_ids: &[String],
        note: &str,
    ) -> Result<LayeredSnapshot, HarnessError> {
        Ok(self.ready.save(guest, chain_ids, note).await?)
    }

    /// Notes an image that was made from a container.
    pub(super) fn note_committed(&self, image: &str) {
        self.leftovers.add_image(image);
    }

    /// Removes a container that has ended, while the caller continues.
    pub(super) async fn remove_later(&self, container: Container) {
        self.leftovers.remove_later(container).await;
    }

    /// Notes a folder of the guest with files of containers.
    pub(super) fn note_folder(&self, folder: &str) {
        self.leftovers.add_folder(folder);
    }

    /// Removes what this handle has made in the VM for containers: images made from them, writable
    /// copies of files of this host, logs over CRI. For a named VM, which continues, once all
    /// containers that this handle has started are removed. Whatever cannot be removed stays until
    /// the VM ends.
    pub async fn remove_leftovers(&self) {
        // The next containers get new ones.
        self.writable_copies.lock().await.clear();
        self.name_files.lock().await.clear();
        let removed = async {
            self.leftovers.remove(self.engine()).await;
            self.remove_folders().await;
        };
        // The engine may hang, which is known already then.
        self.vm().clock().timeout(LEFTOVERS_TIMEOUT, removed).await;
    }

    async fn remove_folders(&self) {
        let mut folders = self.leftovers.take_folders();
        if let Engine::Cri(cri) = self.engine() {
            folders.push(cri.log_folder().to_owned());
        }
        self.remove_from_guest(&folders).await;
    }

    /// Removes the folders of the guest that only a container had which is removed now.
    pub(super) async fn remove_folders_of_container(&self, folders: &[String]) {
        if !folders.is_empty() {
            self.remove_from_guest(folders).await;
            self.leftovers.forget_folders(folders);
        }
    }

    /// Like [`remove_folders_of_container`](Self::remove_folders_of_container), after a `result` of
    /// that container. If the engine is lost, the guest may be, too: then the folders stay for
    /// [`remove_leftovers`](Self::remove_leftovers).
    pub(super) async fn remove_folders_after<T>(
        &self,
        result: &Result<T, HarnessError>,
        folders: &[String],
    ) {
        if !result.as_ref().is_err_and(HarnessError::is_of_lost_engine) {
            self.remove_folders_of_container(folders).await;
        }
    }

    async fn remove_from_guest(&self, folders: &[String]) {
        let folders = folders.iter().map(String::as_str);
        let arguments: Vec<&str> = ["-rf", "--"].into_iter().chain(folders).collect();
        // If it fails, they stay until the VM ends.
        let _ = self.guest_run("/bin/rm", &arguments, LEFTOVERS_TIMEOUT).await;
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.ready.engine
    }

    /// Explains why health checks of images have no effect, if that is so.
    pub(crate) fn health_check_unsupported(&self) -> Option<&'static str> {
        let is_podman = self.vm().family().name == "podman";
        let by_podman = is_podman.then_some("Podman drops health checks of images that it loads");
        self.engine().health_check_unsupported().or(by_podman)
    }

    /// Returns the client of Docker's API, if the engine has this API.
    pub fn docker(&self) -> Option<&Docker> {
        self.ready.engine.docker()
    }

    /// Returns the VM.
    pub fn vm(&self) -> &Vm {
        &self.ready.vm
    }

    /// Returns the events from the start of QEMU until the engine was ready.
    pub fn timeline(&self) -> &Timeline {
        &self.ready.timeline
    }

    /// Returns the timeline of a VM that was booted, with the times when systemd's units became
    /// active.
    ///
    /// # Errors
    /// If the guest agent does not answer.
    pub async fn timeline_with_units(&self) -> Result<Timeline, HarnessError> {
        let mut timeline = self.timeline().clone();
        let mut agent = self.vm().agent(AGENT_TIMEOUT).await?;
        for (event, guest_time) in units::activations(&mut agent, self.vm().family()).await? {
            timeline.add_guest_event(event, guest_time);
        }
        Ok(timeline)
    }

    /// Returns the reason why the VM was booted, if restoring its snapshot failed.
    pub fn fallback(&self) -> Option<&str> {
        self.ready.fallback.as_deref()
    }

    /// Runs a command in the guest, with a time limit.
    ///
    /// # Errors
    /// If the guest agent does not answer or the command does not end in time.
    pub async fn guest_run(
        &self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<CommandOutput, HarnessError> {
        let mut agent = self.vm().agent(AGENT_TIMEOUT).await?;
        Ok(agent.run(program, arguments, limit).await?)
    }
}

/// Prints why a test makes no progress. The command line has a function of its own for that.
#[allow(clippy::disallowed_methods)] // SafeWriter escapes what is printed
fn print_waiting(message: &str) {
    let _ = writeln!(SafeWriter(std::io::stderr()), "seatrial: {message}");
}
