//! A machine: one QEMU process with a private folder. It ends with its handle, and with its process.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::accelerator::{self, Wish};
use super::args::{self, Layout};
use super::places::MachineFolder;
use super::{Accelerator, Agent, Guest, VmError, tls};

/// The emulator.
const QEMU: &str = "qemu-system-x86_64";

fn no_qemu() -> VmError {
    VmError::Missing { program: QEMU, package: "qemu-system-x86" }
}

/// How a machine is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Which accelerator.
    pub accelerator: Wish,
    /// Whether the guest may reach the network.
    pub egress: bool,
}

/// A running machine. Dropped, it is gone: the process, its memory, its disk, its keys.
#[derive(Debug)]
pub struct Machine {
    // Dropped first: the process uses the folder.
    process: Process,
    folder: MachineFolder,
    port: u16,
    accelerator: Accelerator,
    started: Instant,
}

/// QEMU, watched by a thread.
#[derive(Debug)]
pub(super) struct Process {
    pid: rustix::process::Pid,
    ended: Arc<Mutex<Option<ExitStatus>>>,
    watcher: Option<std::thread::JoinHandle<()>>,
}

impl Machine {
    /// Starts a machine of `guest`. It is not ready for anything yet:
    /// [`readiness`](crate::engine::readiness) waits for that.
    ///
    /// # Errors
    /// When QEMU is missing or does not start.
    pub async fn start(guest: &Guest, options: Options) -> Result<Self, VmError> {
        let folder = MachineFolder::make()?;
        let accelerator = accelerator::choose(options.accelerator, guest).await?;
        let keys = tls::make(folder.path())?;
        let initrd = folder.path().join("initrd");
        tls::write_initrd(&guest.initrd(), &initrd, &keys)?;
        let scratch = folder.path().join("scratch.qcow2");
        overlay(&guest.scratch(), &scratch)?;
        let port = free_port()?;
        let (kernel, root) = (guest.kernel(), guest.root());
        let arguments = args::all(&Layout {
            accelerator,
            memory_mib: guest.definition.memory_mib,
            cpus: guest.definition.cpus,
            kernel: &kernel,
            initrd: &initrd,
            cmdline: &guest.definition.cmdline,
            root: &root,
            scratch: &scratch,
            folder: folder.path(),
            port,
            egress: options.egress,
        });
        let started = Instant::now();
        let process = Process::start(&arguments, &folder.path().join("qemu.log"))?;
        Ok(Self { folder, port, accelerator, started, process })
    }

    /// The loopback port behind which the engine's API is.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with the machine's keys (`ca.pem`, `cert.pem`, `key.pem`), sockets and console. Its owner
    /// alone may enter.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How its CPU is run.
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The process id of QEMU.
    pub fn pid(&self) -> u32 {
        self.process.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The last `lines` lines of the console.
    pub fn console(&self, lines: usize) -> String {
        tail(&self.folder.path().join("console.log"), lines)
    }

    /// Whether QEMU still runs.
    ///
    /// # Errors
    /// When it does not; the error says how it ended.
    pub fn check_alive(&self) -> Result<(), VmError> {
        let Some(status) = self.process.ended() else { return Ok(()) };
        let status = match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => status.to_string(),
        };
        let stderr = tail(&self.folder.path().join("qemu.log"), 20);
        Err(VmError::Died { status, stderr, console: self.console(20) })
    }

    /// The guest's agent, which must answer within `limit`.
    ///
    /// # Errors
    /// When it does not.
    pub async fn agent(&self, limit: Duration) -> Result<Agent, VmError> {
        Agent::connect(&self.folder.path().join("agent.sock"), limit).await
    }
}

impl Process {
    /// Starts QEMU so that it is killed when this process ends, however that comes about. The kernel sends that
    /// signal when the starting thread ends; so the thread that starts QEMU is the one that waits for it.
    pub(super) fn start(arguments: &[String], log: &Path) -> Result<Self, VmError> {
        let stderr = fs::File::create(log).map_err(VmError::file("make", log))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", QEMU]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let ended = Arc::new(Mutex::new(None));
        let (report, reported) = mpsc::channel();
        let slot = Arc::clone(&ended);
        let watcher = std::thread::spawn(move || match command.spawn() {
            Err(error) => drop(report.send(Err(error))),
            Ok(mut child) => {
                let _ = report.send(Ok(rustix::process::Pid::from_child(&child)));
                if let (Ok(status), Ok(mut slot)) = (child.wait(), slot.lock()) {
                    *slot = Some(status);
                }
            }
        });
        match reported.recv() {
            Ok(Ok(pid)) => Ok(Self { pid, ended, watcher: Some(watcher) }),
            _ => Err(no_qemu()),
        }
    }
}

impl Process {
    /// How it ended, if it did.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        self.ended.lock().map(|ended| *ended).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Until it was waited for, its process id is nobody else's.
        if self.ended().is_none() {
            let _ = rustix::process::kill_process(self.pid, rustix::process::Signal::KILL);
        }
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

/// A disk that reads from `base` and keeps what is written for itself.
fn overlay(base: &Path, overlay: &Path) -> Result<(), VmError> {
    let mut image = Command::new("qemu-img");
    image.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(base).arg(overlay);
    let output = image.stdin(Stdio::null()).output();
    let output = output.map_err(|_| VmError::Missing { program: "qemu-img", package: "qemu-utils" })?;
    if output.status.success() {
        return Ok(());
    }
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(VmError::file("make", PathBuf::from(overlay))(std::io::Error::other(problem)))
}

/// A port that nobody uses now. Should somebody take it before QEMU does, QEMU says so and ends.
fn free_port() -> Result<u16, VmError> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(VmError::file("open a port on", "the loopback"))
}

/// The last `lines` lines of a log, whatever bytes it is made of.
fn tail(path: &Path, lines: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
