//! Machines that are kept for hand work: a keeper, a process of its own, owns each; others find them by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::engine::TimelineEvent;
use crate::suggest;
use crate::vm::VmError;
use crate::vm::folders::{Lock, cached};
use crate::vm::instance::Agent;
use crate::vm::pool::ReadyVm;

/// A machine that is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedVm {
    /// What it is called.
    pub name: String,
    /// The guest it runs.
    pub guest: String,
    /// The loopback port behind which the engine's API is.
    pub port: u16,
    /// The machine's folder; the keys to the API are in it.
    pub folder: PathBuf,
    /// The keeper's process id.
    pub background_pid: u32,
    /// QEMU's process id.
    pub qemu_pid: u32,
    /// What was true when, from QEMU's start until the engine was ready.
    pub timeline: Vec<TimelineEvent>,
    /// When that was, in seconds since 1970.
    since: u64,
}

/// What is written to a kept machine's folder.
const STATE: &str = "machine.json";
/// How long a keeper may take to end its machine.
const DOWN: Duration = Duration::from_secs(20);

impl NamedVm {
    /// Makes a ready machine known as `name`. It stays for as long as `ready` is not dropped.
    ///
    /// # Errors
    /// When that name is taken.
    pub fn register(name: &str, guest: &str, ready: &ReadyVm) -> Result<Self, VmError> {
        let _naming = Lock::wait(&cached("machines")?.join(".names"))?;
        if Self::list()?.iter().any(|kept| kept.name == name) {
            return Err(VmError::NameTaken(name.to_owned()));
        }
        let machine = &ready.vm;
        let kept = Self {
            name: name.to_owned(),
            guest: guest.to_owned(),
            port: machine.port(),
            folder: machine.folder().to_owned(),
            background_pid: std::process::id(),
            qemu_pid: machine.pid(),
            timeline: ready.timeline.events().to_vec(),
            since: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        };
        let path = kept.folder.join(STATE);
        let text =
            serde_json::to_string(&kept).map_err(|e| VmError::file("write", &path)(e.into()))?;
        fs::write(&path, text).map_err(VmError::file("write", &path))?;
        Ok(kept)
    }

    /// All machines that are kept now, by name.
    ///
    /// # Errors
    /// When the folder of machines cannot be read.
    pub fn list() -> Result<Vec<Self>, VmError> {
        let machines = cached("machines")?;
        let folders = fs::read_dir(&machines).map_err(VmError::file("read", &machines))?;
        let mut all: Vec<Self> =
            folders.flatten().filter_map(|folder| Self::read(&folder.path())).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The machine kept in `folder`, if there is one and its keeper lives.
    fn read(folder: &Path) -> Option<Self> {
        let kept: Self = serde_json::from_slice(&fs::read(folder.join(STATE)).ok()?).ok()?;
        Lock::take(&folder.join("lock")).is_none().then_some(kept)
    }

    /// The machine called `name`; the only one there is where no name is given.
    ///
    /// # Errors
    /// When there is none, or several to choose from; the error names them.
    pub fn find(name: Option<&str>) -> Result<Self, VmError> {
        let mut all = Self::list()?;
        let wanted = match name {
            None if all.len() == 1 => Some(0),
            None => None,
            Some(name) => all.iter().position(|kept| kept.name == name),
        };
        match wanted {
            Some(index) => Ok(all.swap_remove(index)),
            None => {
                let names = all.iter().map(|kept| kept.name.as_str());
                let nearest =
                    name.and_then(|name| suggest::nearest(name, names.clone())).map(str::to_owned);
                let there = names.map(str::to_owned).collect();
                Err(VmError::NoVm { name: name.map(str::to_owned), nearest, there })
            }
        }
    }

    /// How long it took from QEMU's start until the engine was ready.
    pub fn ready_after(&self) -> Duration {
        self.timeline.last().map_or(Duration::ZERO, |event| event.at)
    }

    /// How long it has been ready.
    pub fn age(&self) -> Duration {
        (UNIX_EPOCH + Duration::from_secs(self.since)).elapsed().unwrap_or_default()
    }

    /// The guest's agent, which must answer within `limit`.
    ///
    /// # Errors
    /// When it does not.
    pub async fn agent(&self, limit: Duration) -> Result<Agent, VmError> {
        Agent::connect(&self.folder, limit).await
    }

    /// Where its console is written to.
    pub fn console_file(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// Ends it, and waits until nothing of it is left.
    ///
    /// # Errors
    /// When its keeper does not end it.
    pub async fn stop(&self) -> Result<(), VmError> {
        // The keeper holds the folder's lock for as long as it lives, so the number is still its own.
        let keeper = i32::try_from(self.background_pid).ok().and_then(Pid::from_raw);
        if let (Some(keeper), Some(_)) = (keeper, Self::read(&self.folder)) {
            let sent = kill_process(keeper, Signal::TERM);
            sent.map_err(|error| VmError::file("end the keeper of", &self.folder)(error.into()))?;
        }
        let deadline = Instant::now() + DOWN;
        while self.folder.exists() {
            if Instant::now() >= deadline {
                let problem =
                    format!("its keeper, process {}, did not end it", self.background_pid);
                return Err(VmError::file("remove", &self.folder)(std::io::Error::other(problem)));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}
