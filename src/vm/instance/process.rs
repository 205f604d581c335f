//! The QEMU process. It is killed when the process that started it exits, and its own exit is
//! noticed at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::watch;

use crate::vm::VmError;
use crate::vm::folders::create_file;
use crate::vm::tools::{SETPRIV, Tool, private_command};

/// The period in which a throttled process is stopped once.
const THROTTLE_PERIOD: Duration = Duration::from_millis(40);
/// The number of lines of QEMU's log in errors.
const LOG_LINES: usize = 20;
/// The bytes at the end of a file that [`tail`] reads: the guest decides how long the console is.
const TAIL_BYTES: u64 = 64 << 10;

/// A running QEMU, and the thread that waits for it.
#[derive(Debug)]
pub(in crate::vm) struct Process {
    pid: u32,
    /// Signals go through this, so that they cannot reach another process with the same ID.
    pidfd: Arc<OwnedFd>,
    /// The exit status as text, once the process has exited.
    status: watch::Receiver<Option<String>>,
    waiter: Option<std::thread::JoinHandle<()>>,
    /// Whether another process or handle ends it.
    foreign: bool,
    log: PathBuf,
}

impl Process {
    /// Starts `tool`, and has the kernel kill it when this process exits for any reason. The
    /// kernel sends that signal already when the thread that started QEMU ends, so that thread also
    /// waits for it. QEMU's standard error goes to `log`.
    pub(in crate::vm) fn start(
        tool: Tool,
        arguments: &[String],
        stdin: Option<File>,
        log: &Path,
    ) -> Result<Self, VmError> {
        let setpriv = SETPRIV.require()?;
        tool.require()?;
        let stderr = create_file(log)?;
        let mut command = private_command(setpriv);
        command.args(["--pdeathsig", "KILL", "--"]).arg(tool.program).args(arguments);
        command
            .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::null())
            .stderr(stderr);
        let (status_sender, status) = watch::channel(None);
        let (start_sender, started) = mpsc::channel();
        let wait = move || match spawn(&mut command) {
            Err(error) => drop(start_sender.send(Err(error))),
            Ok((mut child, pidfd)) => {
                let _ = start_sender.send(Ok((child.id(), pidfd)));
                if let Ok(status) = child.wait() {
                    status_sender.send_replace(Some(text_of(status)));
                }
            }
        };
        let failed = |source| VmError::Spawn { program: tool.program.to_owned(), source };
        let waiter = std::thread::Builder::new().spawn(wait).map_err(failed)?;
        let started = started.recv().unwrap_or_else(|error| Err(io::Error::other(error)));
        let (pid, pidfd) = started.map_err(failed)?;
        let (pidfd, log) = (Arc::new(pidfd), log.to_owned());
        Ok(Self { pid, pidfd, status, waiter: Some(waiter), foreign: false, log })
    }

    /// Opens a QEMU that another process has started. It continues when this is dropped.
    pub(in crate::vm) fn attach(pid: u32, log: &Path) -> Result<Self, VmError> {
        let failed = |source| VmError::Spawn { program: format!("process {pid}"), source };
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
        let pidfd = Arc::new(pidfd);
        let (sender, status) = watch::channel(None);
        let exited = Arc::clone(&pidfd);
        // The thread ends with the VM, or with this process.
        std::thread::spawn(move || {
            let mut events = [PollFd::new(&*exited, PollFlags::IN)];
            while poll(&mut events, None).is_err() {}
            sender.send_replace(Some("its owner ended it, or it failed".to_owned()));
        });
        Ok(Self { pid, pidfd, status, waiter: None, foreign: true, log: log.to_owned() })
    }

    /// Returns another handle of the process, which does not end it when it is dropped.
    pub(in crate::vm) fn share(&self) -> Self {
        let (pidfd, status) = (Arc::clone(&self.pidfd), self.status.clone());
        Self { pid: self.pid, pidfd, status, waiter: None, foreign: true, log: self.log.clone() }
    }

    /// Returns the process ID.
    pub(in crate::vm) fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills the process.
    pub(in crate::vm) fn kill(&self) {
        // Fails if the process has exited.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Stops the process regularly, so that it runs for `percent` of the time, until it exits.
    pub(in crate::vm) fn throttle(&self, percent: u64) {
        let process = Arc::clone(&self.pidfd);
        let percent = percent.clamp(1, 100);
        let phases = [(Signal::STOP, 100 - percent), (Signal::CONT, percent)].into_iter().cycle();
        std::thread::spawn(move || {
            for (signal, share) in phases {
                // Fails once the process has exited.
                if pidfd_send_signal(&process, signal).is_err() {
                    return;
                }
                std::thread::sleep(THROTTLE_PERIOD / 100 * share as u32);
            }
        });
    }

    /// Returns the exit status and the end of the log, if the process has exited.
    pub(in crate::vm) fn exit_status(&self) -> Option<(String, String)> {
        let status = self.status.borrow().clone();
        status.map(|status| self.with_log(status))
    }

    /// Waits until the process exits, and returns its exit status and the end of the log.
    pub(in crate::vm) async fn wait_for_exit(&self) -> (String, String) {
        let mut status = self.status.clone();
        let status = status.wait_for(Option::is_some).await.map(|status| status.clone());
        match status {
            Ok(Some(status)) => self.with_log(status),
            _ => ("unknown".to_owned(), String::new()),
        }
    }

    fn with_log(&self, status: String) -> (String, String) {
        (status, tail(&self.log, LOG_LINES))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.foreign {
            return;
        }
        self.kill();
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.join();
        }
    }
}

fn text_of(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}

/// Spawns a process, and opens it before it is waited for, while its ID is still its own.
fn spawn(command: &mut Command) -> io::Result<(Child, OwnedFd)> {
    let mut child = command.spawn()?;
    match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        Ok(pidfd) => Ok((child, pidfd)),
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(error.into())
        }
    }
}

/// Returns the last `lines` lines of a file, with invalid UTF-8 replaced.
pub(in crate::vm) fn tail(path: &Path, lines: usize) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
