//! Named VMs: a background process owns each, and other processes find them by name.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::document;
use crate::engine::{Timeline, TimelineEvent};
use crate::text::suggest;
use crate::vm::VmError;
use crate::vm::folders::{VMS, cache_folder, create_file};
use crate::vm::guest::Definition;
use crate::vm::instance::{Accelerator, Agent, Vm};
use crate::vm::locks::Lock;
use crate::vm::pool::{ReadyVm, readiness};

/// A named VM that is running.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedVm {
    /// The name.
    pub name: String,
    /// The guest.
    pub guest: String,
    /// The port on the loopback interface that is forwarded to the engine's API.
    pub port: u16,
    /// The VM's folder, with the client's certificate and key.
    pub folder: PathBuf,
    /// The ID of the background process.
    pub background_pid: u32,
    /// The ID of the QEMU process.
    pub qemu_pid: u32,
    /// How the CPUs run.
    accelerator: Accelerator,
    /// The events from the start of QEMU until the engine was ready.
    pub timeline: Vec<TimelineEvent>,
    /// When the engine was ready, in seconds since 1970.
    since: u64,
}

/// The file in a VM's folder that describes a named VM.
const STATE_FILE: &str = "vm.json";
/// How long a background process may take to end its VM.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the engine of a named VM may take to answer.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(30);
/// The environment variable with the name of the VM that a shell uses.
pub(crate) const VARIABLE: &str = "SEATRIAL_VM";
const POLL_INTERVAL: Duration = Duration::from_millis(10);

impl NamedVm {
    /// Checks the name of a VM: letters, digits, dots, dashes and underscores, the first one a
    /// letter or a digit. Shells and users read such names as one word.
    ///
    /// # Errors
    /// If the name is another one.
    pub fn check_name(name: &str) -> Result<(), VmError> {
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(inside) {
            true => Ok(()),
            false => Err(VmError::InvalidName(name.to_owned())),
        }
    }

    /// Checks that no VM has this name.
    ///
    /// # Errors
    /// If the name is in use.
    pub fn check_is_free(name: &str) -> Result<(), VmError> {
        match Self::list()?.iter().any(|other| other.name == name) {
            true => Err(VmError::NameTaken(name.to_owned())),
            false => Ok(()),
        }
    }

    /// Registers a ready VM as `name`. It stays registered until `ready` is dropped.
    ///
    /// # Errors
    /// If the name is invalid or in use.
    pub fn register(name: &str, guest: &str, ready: &ReadyVm) -> Result<Self, VmError> {
        Self::check_name(name)?;
        let _names = Lock::acquire(&cache_folder(VMS)?.join(".names"))?;
        Self::check_is_free(name)?;
        let vm = &ready.vm;
        let named = Self {
            name: name.to_owned(),
            guest: guest.to_owned(),
            port: vm.port(),
            folder: vm.folder().to_owned(),
            background_pid: std::process::id(),
            qemu_pid: vm.pid(),
            accelerator: vm.accelerator(),
            timeline: ready.timeline.events().to_vec(),
            since: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        };
        let path = named.folder.join(STATE_FILE);
        let json =
            serde_json::to_string(&named).map_err(|e| VmError::file("write", &path)(e.into()))?;
        let written = create_file(&path)?.write_all(json.as_bytes());
        written.map_err(VmError::file("write", &path))?;
        Ok(named)
    }

    /// Lists all running named VMs, sorted by name.
    ///
    /// # Errors
    /// If the folder of VMs cannot be read.
    pub fn list() -> Result<Vec<Self>, VmError> {
        let vms = cache_folder(VMS)?;
        let folders = fs::read_dir(&vms).map_err(VmError::file("read", &vms))?;
        let mut all: Vec<Self> =
            folders.flatten().filter_map(|folder| Self::read(&folder.path())).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Returns the named VM in `folder`, if there is one and its background process is running.
    fn read(folder: &Path) -> Option<Self> {
        let json = document::read_bytes(&folder.join(STATE_FILE), document::MAX_SIZE).ok()?;
        let named: Self = serde_json::from_slice(&json).ok()?;
        Lock::is_held(&folder.join("lock")).is_ok_and(|held| held).then_some(named)
    }

    /// Returns the VM called `name`. If no name is given, returns the VM that [`VARIABLE`] names,
    /// or else the only VM.
    ///
    /// # Errors
    /// If there is none, or there are several and no name is given; the error lists the names.
    pub fn find(name: Option<&str>) -> Result<Self, VmError> {
        match (name, std::env::var(VARIABLE)) {
            (None, Ok(in_shell)) if !in_shell.is_empty() => {
                let from_shell = |_| VmError::VmOfShell { name: in_shell.clone() };
                Self::named(Some(&in_shell)).map_err(from_shell)
            }
            (name, _) => Self::named(name),
        }
    }

    fn named(name: Option<&str>) -> Result<Self, VmError> {
        let mut all = Self::list()?;
        let position = match name {
            None if all.len() == 1 => Some(0),
            None => None,
            Some(name) => all.iter().position(|named| named.name == name),
        };
        match position {
            Some(index) => Ok(all.swap_remove(index)),
            None => {
                let names = all.iter().map(|named| named.name.as_str());
                let nearest =
                    name.and_then(|name| suggest::nearest(name, names.clone())).map(str::to_owned);
                let running = names.map(str::to_owned).collect();
                Err(VmError::UnknownVm { name: name.map(str::to_owned), nearest, running })
            }
        }
    }

    /// Returns how long it took from the start of QEMU until the engine was ready.
    pub fn ready_after(&self) -> Duration {
        self.timeline.last().map_or(Duration::ZERO, |event| event.at)
    }

    /// Returns for how long the engine has been ready.
    pub fn age(&self) -> Duration {
        (UNIX_EPOCH + Duration::from_secs(self.since)).elapsed().unwrap_or_default()
    }

    /// Connects to the guest agent, which must answer within `limit`.
    ///
    /// # Errors
    /// If it does not.
    pub async fn agent(&self, limit: Duration) -> Result<Agent, VmError> {
        Agent::connect(&self.folder, limit).await
    }

    /// Returns the path of the console log.
    pub fn console_file(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// Opens the VM, whatever state its engine is in. The VM continues when the result is dropped.
    ///
    /// # Errors
    /// If the VM has ended.
    pub(crate) fn open(&self) -> Result<Vm, VmError> {
        let family = Definition::named(&self.guest)?.family;
        let process = (self.port, self.qemu_pid);
        Vm::attach(&family, self.accelerator, process, &self.folder)
    }

    /// Connects to the engine. The VM continues when the result is dropped.
    ///
    /// # Errors
    /// If the VM has ended, or its engine does not answer.
    pub(crate) async fn attach(&self) -> Result<ReadyVm, VmError> {
        let vm = self.open()?;
        let timeline = Timeline::new(vm.started());
        let (engine, timeline) = readiness::wait_for_engine(&vm, timeline, ATTACH_TIMEOUT).await?;
        Ok(ReadyVm { vm, engine, timeline, fallback: None, slot: None })
    }

    /// Ends the VM, and waits until its folder is removed.
    ///
    /// # Errors
    /// If the background process does not end it in time.
    pub async fn stop(&self) -> Result<(), VmError> {
        let pid = i32::try_from(self.background_pid).ok().and_then(Pid::from_raw);
        let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // The background process holds the folder's lock while it runs. If the lock is held after
        // the process was opened, the ID was still its own then.
        if let (Some(process), Some(_)) = (process, Self::read(&self.folder)) {
            match pidfd_send_signal(&process, Signal::TERM) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => {
                    return Err(VmError::file("end the VM in", &self.folder)(error.into()));
                }
            }
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.folder.exists() {
            if Instant::now() >= deadline {
                let (pid, seconds) = (self.background_pid, STOP_TIMEOUT.as_secs());
                let problem =
                    format!("the background process {pid} did not exit within {seconds} s");
                return Err(VmError::file("remove", &self.folder)(std::io::Error::other(problem)));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }
}
