//! Failures of VMs. Except for wrong names and variables, they are failures of the environment.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::{EngineError, NotReady};
use crate::text::{self, suggest};

/// A guest that could not be assembled, or a VM that could not be started or used.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// A required program is not installed.
    #[error("{program} is not installed; install the Debian package {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The Debian package that contains it.
        package: &'static str,
    },
    /// A file, folder or socket cannot be used.
    #[error("failed to {action} {path}", path = text::path(path))]
    File {
        /// The action that failed, as a verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Other users can change or replace the cache.
    #[error(
        "the cache {cache} is not safe from other users: {folder} {problem}; set XDG_CACHE_HOME to \
         a folder of your own{}",
        chmod(folder, *writable), cache = cache.display(), folder = folder.display()
    )]
    UnsafeCache {
        /// The cache.
        cache: PathBuf,
        /// The cache, or a folder above it.
        folder: PathBuf,
        /// The problem of the folder's owner or mode.
        problem: String,
        /// Whether the folder's mode is the problem.
        writable: bool,
    },
    /// A program on this host could not be started.
    #[error("failed to start {program}")]
    Spawn {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// This host's disk was full, so that QEMU could not continue.
    #[error(
        "the disk of this host is full: a VM could not write to {folder}; free some space there, \
         or set XDG_CACHE_HOME to a folder on another disk",
        folder = folder.display()
    )]
    HostDiskFull {
        /// The folder.
        folder: PathBuf,
    },
    /// A disk does not have enough free space.
    #[error(
        "{path} has {} MiB free, but a guest needs {} MiB; free some space there, or set \
         {variable} to a folder on another disk",
        free >> 20, needed >> 20, path = text::path(path)
    )]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// The free space in bytes.
        free: u64,
        /// The space in bytes that a guest needs.
        needed: u64,
        /// The environment variable that names the folder.
        variable: &'static str,
    },
    /// The guest could not be assembled.
    #[error("failed to assemble the guest {guest}: {problem}")]
    Assembly {
        /// The guest.
        guest: String,
        /// The cause, with the last lines of the failed program.
        problem: String,
    },
    /// The guest's packages contain programs that this host cannot run.
    #[error(
        "failed to assemble {guest}: this host does not run programs for {architecture}; install \
         the Debian package qemu-user-static; if that does not register QEMU, as in containers, \
         run as root: mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; \
         cat /usr/lib/binfmt.d/qemu-{machine}.conf >/proc/sys/fs/binfmt_misc/register"
    )]
    ForeignArchitecture {
        /// The guest.
        guest: String,
        /// Its architecture, as GOARCH.
        architecture: &'static str,
        /// Its architecture, as `uname -m` prints it.
        machine: &'static str,
    },
    /// KVM was required for a guest of another architecture.
    #[error("KVM does not run {guest}, which is for {architecture}; omit --accel")]
    KvmArchitecture {
        /// The guest.
        guest: String,
        /// Its architecture, as GOARCH.
        architecture: &'static str,
    },
    /// There is no guest with this name.
    #[error("there is no guest {}{}", text::quote(.name), instead(nearest))]
    UnknownGuest {
        /// The name.
        name: String,
        /// The most similar name of a guest.
        nearest: Option<String>,
    },
    /// No engine has this name: it names neither a guest nor a family of guests.
    #[error("there is no engine {}{}", text::quote(.name), instead(nearest))]
    UnknownEngine {
        /// The name.
        name: String,
        /// The most similar name of a guest or family.
        nearest: Option<String>,
    },
    /// A name is that of a family, where one guest is needed.
    #[error("{name} stands for several guests; name one: {}", text::list(.guests))]
    SeveralGuests {
        /// The family.
        name: String,
        /// Its guests.
        guests: Vec<String>,
    },
    /// There is no named VM with this name, or none was given and there is not exactly one.
    #[error("{}", no_such_vm(name.as_deref(), nearest, running))]
    UnknownVm {
        /// The name, if one was given.
        name: Option<String>,
        /// The most similar name of a running VM.
        nearest: Option<String>,
        /// The names of all running VMs.
        running: Vec<String>,
    },
    /// No VM has the name in the shell's environment.
    #[error(
        "there is no VM named {}, which the variable SEATRIAL_VM names; run `unset SEATRIAL_VM \
         DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH`, or give a name",
        text::quote(name)
    )]
    VmOfShell {
        /// The name.
        name: String,
    },
    /// Another named VM has this name.
    #[error(
        "a VM named \"{0}\" is running; to use it: eval \"$(seatrial vm env {0})\"; to end it: \
         seatrial vm down {0}; for a second one, choose another --name"
    )]
    NameTaken(String),
    /// The name of a VM has other characters than letters, digits, dots, dashes and underscores, or
    /// begins with none of the first two.
    #[error(
        "invalid VM name {}; write letters, digits, dots, dashes and underscores, and begin with \
         a letter or digit",
        text::quote(_0)
    )]
    InvalidName(String),
    /// An environment variable was renamed, and is set under its old name.
    #[error("{old} is now named {new}; set {new} instead")]
    RenamedVariable {
        /// The old name.
        old: &'static str,
        /// The new name.
        new: &'static str,
    },
    /// An environment variable has an invalid value.
    #[error("invalid {name} {}; expected {expected}", text::quote(.value))]
    InvalidVariable {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        expected: &'static str,
    },
    /// QEMU exited unexpectedly.
    #[error("QEMU exited ({status}){}", last_words(.stderr, .console))]
    QemuExited {
        /// The exit status or signal.
        status: String,
        /// The last lines of QEMU's standard error.
        stderr: String,
        /// The last lines of the console.
        console: String,
    },
    /// Too many other VMs were running for too long.
    #[error(
        "timed out after {} min waiting for a VM slot; {holders}",
        limit.as_secs() / 60
    )]
    SlotTimeout {
        /// The timeout.
        limit: Duration,
        /// The processes that hold the slots.
        holders: String,
    },
    /// All VM slots are held by the test or task that waits for another one, so that it would wait
    /// for itself.
    #[error(
        "all VM slots ({count}) are held by VMs of this very task or by shared VMs of this \
         process; end one of them before you start another, set SEATRIAL_VMS to a larger number, \
         or start without a slot (Options::skip_slot_queue)"
    )]
    OwnSlots {
        /// The number of slots.
        count: u64,
    },
    /// Another process assembles the same guest, or makes the same snapshot, and does not finish.
    #[error(
        "timed out after {} min waiting for another process, which holds the lock {lock}",
        limit.as_secs() / 60, lock = text::path(lock)
    )]
    LockTimeout {
        /// The lock file.
        lock: PathBuf,
        /// The timeout.
        limit: Duration,
    },
    /// The engine did not become ready in time.
    #[error("the engine is {cause}\n{report}")]
    NotReady {
        /// The condition that was not met.
        cause: Box<NotReady>,
        /// The state of the guest: units, journal, console.
        report: String,
    },
    /// A request to the engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A certificate could not be created.
    #[error("failed to create the VM's certificates")]
    Certificate(#[from] rcgen::Error),
    /// A program in the guest could not be started.
    #[error("failed to run {program} in the guest: {problem}")]
    GuestProgram {
        /// The program.
        program: String,
        /// The cause, such as "No such file or directory".
        problem: String,
    },
    /// A command of the user in the guest did not end within its time limit.
    #[error(
        "{} was still running after {} s (--timeout)", text::excerpt(.command), limit.as_secs()
    )]
    StillRunning {
        /// The command.
        command: String,
        /// The time limit.
        limit: Duration,
    },
    /// The guest or QEMU's monitor answered a command with an error, or did not answer.
    #[error("{peer} failed to run {}: {problem}", text::excerpt(.command))]
    Command {
        /// The program that was to run the command.
        peer: &'static str,
        /// The command.
        command: String,
        /// The error.
        problem: String,
    },
}

impl VmError {
    /// Whether the environment failed, rather than the user's input.
    pub fn is_environment(&self) -> bool {
        !matches!(
            self,
            Self::UnknownGuest { .. }
                | Self::UnknownEngine { .. }
                | Self::SeveralGuests { .. }
                | Self::InvalidVariable { .. }
                | Self::UnknownVm { .. }
                | Self::VmOfShell { .. }
                | Self::NameTaken(_)
                | Self::InvalidName(_)
                | Self::RenamedVariable { .. }
                | Self::GuestProgram { .. }
        )
    }

    /// Whether QEMU exited because the guest shut down, or because it was asked to.
    pub(crate) fn is_shutdown(&self) -> bool {
        matches!(self, Self::QemuExited { status, .. } if status == "exit status: 0")
    }

    /// Returns a function that makes a [`VmError::File`] of an I/O error.
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

/// The end of a message about a folder that others may be able to write to.
fn chmod(folder: &Path, writable: bool) -> String {
    match writable {
        true => format!(", or run: chmod go-w {}", folder.display()),
        false => String::new(),
    }
}

/// The message about a VM that does not exist, or was not named although several are running.
fn no_such_vm(name: Option<&str>, nearest: &Option<String>, running: &[String]) -> String {
    let problem = match name {
        Some(name) => format!("there is no VM named {}", text::quote(name)),
        None if running.is_empty() => "no named VM is running; run `seatrial vm up`".to_owned(),
        None => "several VMs are running; give the name of one".to_owned(),
    };
    let advice = match nearest {
        Some(_) => suggest::hint(nearest),
        None if running.is_empty() => String::new(),
        None => format!("; running: {}", text::list(running)),
    };
    problem + &advice
}

/// The end of a message about an unknown guest or engine.
fn instead(nearest: &Option<String>) -> String {
    match nearest {
        Some(_) => suggest::hint(nearest),
        None => "; `seatrial vm list` lists all".to_owned(),
    }
}

/// The last output of QEMU and the guest, to follow a sentence about their end.
fn last_words(stderr: &str, console: &str) -> String {
    let part = |label: &str, text: &str| match text.trim().is_empty() {
        true => String::new(),
        false => format!("{label}{text}"),
    };
    part(": ", stderr) + &part("\nlast lines of the console:\n", console)
}
