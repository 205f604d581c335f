//! The QEMU process. It is killed when the process that started it exits, and its own exit is
//! noticed at once.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tokio::sync::watch;

use crate::vm::VmError;

/// The period in which a throttled process is stopped once.
const THROTTLE_PERIOD: Duration = Duration::from_millis(40);
/// The number of lines of QEMU's log in errors.
const LOG_LINES: usize = 20;

/// A running QEMU, and the thread that waits for it.
#[derive(Debug)]
pub(in crate::vm) struct Process {
    pid: Pid,
    status: watch::Receiver<Option<ExitStatus>>,
    waiter: Option<std::thread::JoinHandle<()>>,
    log: PathBuf,
}

impl Process {
    /// Starts `program`, and has the kernel kill it when this process exits for any reason. The
    /// kernel sends that signal already when the thread that started QEMU ends, so that thread also
    /// waits for it. QEMU's standard error goes to `log`.
    pub(in crate::vm) fn start(
        program: &'static str,
        arguments: &[String],
        stdin: Option<File>,
        log: &Path,
    ) -> Result<Self, VmError> {
        let stderr = File::create(log).map_err(VmError::file("create", log))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).args(arguments);
        command
            .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::null())
            .stderr(stderr);
        let (status_sender, status) = watch::channel(None);
        let (start_sender, started) = mpsc::channel();
        let waiter = std::thread::spawn(move || match command.spawn() {
            Err(error) => drop(start_sender.send(Err(error))),
            Ok(mut child) => {
                let _ = start_sender.send(Ok(Pid::from_child(&child)));
                if let Ok(status) = child.wait() {
                    status_sender.send_replace(Some(status));
                }
            }
        });
        match started.recv() {
            Ok(Ok(pid)) => Ok(Self { pid, status, waiter: Some(waiter), log: log.to_owned() }),
            _ => Err(VmError::Missing { program: "setpriv", package: "util-linux" }),
        }
    }

    /// Returns the process ID.
    pub(in crate::vm) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills the process.
    pub(in crate::vm) fn kill(&self) {
        // The kernel reuses a process ID only after the thread has waited for the process.
        if self.status.borrow().is_none() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }

    /// Stops the process regularly, so that it runs for `percent` of the time, until it exits.
    pub(in crate::vm) fn throttle(&self, percent: u64) {
        let Ok(process) = pidfd_open(self.pid, PidfdFlags::empty()) else { return };
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
        let status = *self.status.borrow();
        status.map(|status| self.with_log(status))
    }

    /// Waits until the process exits, and returns its exit status and the end of the log.
    pub(in crate::vm) async fn wait_for_exit(&self) -> (String, String) {
        let mut status = self.status.clone();
        let status = status.wait_for(Option::is_some).await.map(|status| *status);
        match status {
            Ok(Some(status)) => self.with_log(status),
            _ => ("unknown".to_owned(), String::new()),
        }
    }

    fn with_log(&self, status: ExitStatus) -> (String, String) {
        let status = match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => status.to_string(),
        };
        (status, tail(&self.log, LOG_LINES))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.join();
        }
    }
}

/// Returns the last `lines` lines of a file, with invalid UTF-8 replaced.
pub(in crate::vm) fn tail(path: &Path, lines: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
