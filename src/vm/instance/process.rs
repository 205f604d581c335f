//! QEMU as a process: it dies with whoever started it, and its end is noticed at once.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tokio::sync::watch;

use crate::vm::VmError;

/// How long a slowed process runs and stands still in turn.
const SLICE: Duration = Duration::from_millis(40);

/// A running QEMU, watched by a thread.
#[derive(Debug)]
pub(in crate::vm) struct Process {
    pid: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
    watcher: Option<std::thread::JoinHandle<()>>,
    log: PathBuf,
}

impl Process {
    /// Starts `program` so that it is killed when this process ends, however that comes about. The kernel sends
    /// that signal when the starting thread ends; so the thread that starts QEMU is the one that waits for it.
    /// What QEMU says goes to `log`.
    pub(in crate::vm) fn start(
        program: &'static str,
        arguments: &[String],
        stdin: Option<File>,
        log: &Path,
    ) -> Result<Self, VmError> {
        let stderr = File::create(log).map_err(VmError::file("make", log))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).args(arguments);
        command
            .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::null())
            .stderr(stderr);
        let (tell, ended) = watch::channel(None);
        let (report, reported) = mpsc::channel();
        let watcher = std::thread::spawn(move || match command.spawn() {
            Err(error) => drop(report.send(Err(error))),
            Ok(mut child) => {
                let _ = report.send(Ok(Pid::from_child(&child)));
                if let Ok(status) = child.wait() {
                    tell.send_replace(Some(status));
                }
            }
        });
        match reported.recv() {
            Ok(Ok(pid)) => Ok(Self { pid, ended, watcher: Some(watcher), log: log.to_owned() }),
            _ => Err(VmError::Missing { program: "setpriv", package: "util-linux" }),
        }
    }

    /// Its process id.
    pub(in crate::vm) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills it.
    pub(in crate::vm) fn kill(&self) {
        // Until it was waited for, its process id is nobody else's.
        if self.ended.borrow().is_none() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }

    /// Stops it for a while again and again, so that it runs for `percent` of the time, until its end.
    pub(in crate::vm) fn throttle(&self, percent: u64) {
        let Ok(process) = pidfd_open(self.pid, PidfdFlags::empty()) else { return };
        let percent = percent.clamp(1, 100);
        let phases = [(Signal::STOP, 100 - percent), (Signal::CONT, percent)].into_iter().cycle();
        std::thread::spawn(move || {
            // An error means that it has ended.
            for (signal, share) in phases {
                if pidfd_send_signal(&process, signal).is_err() {
                    return;
                }
                std::thread::sleep(SLICE / 100 * share as u32);
            }
        });
    }

    /// How it ended and what it said, if it did.
    pub(in crate::vm) fn exit_status(&self) -> Option<(String, String)> {
        let status = *self.ended.borrow();
        status.map(|status| self.exit_report(status))
    }

    /// Waits for its end, and tells how it ended and what it said.
    pub(in crate::vm) async fn wait_for_exit(&self) -> (String, String) {
        let mut ended = self.ended.clone();
        let status = ended.wait_for(Option::is_some).await.map(|status| *status);
        match status {
            Ok(Some(status)) => self.exit_report(status),
            _ => ("unknown".to_owned(), String::new()),
        }
    }

    fn exit_report(&self, status: ExitStatus) -> (String, String) {
        let status = match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => status.to_string(),
        };
        (status, tail(&self.log, 20))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

/// The last `lines` lines of a log, whatever bytes it is made of.
pub(in crate::vm) fn tail(path: &Path, lines: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
