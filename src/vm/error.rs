//! What can go wrong with machines. All of it is the environment's fault, never the image's.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::EngineError;
use crate::engine::NotReady;

/// A machine that could not be assembled, started or talked to.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// A program that is needed is not installed.
    #[error("{program} is not installed; install Debian's package {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// A file or folder of ours cannot be used.
    #[error("cannot {doing} {path}", path = path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A disk is too full.
    #[error(
        "{path} has {} MiB free, and a guest needs {}; make room there, or name another place with {variable}",
        free >> 20, crate::vm::folders::ROOM >> 20, path = path.display()
    )]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// How many bytes are free there.
        free: u64,
        /// The variable that names another place.
        variable: &'static str,
    },
    /// The guest could not be put together.
    #[error("cannot assemble the guest {guest}: {problem}")]
    Assembly {
        /// Which.
        guest: String,
        /// The last lines that the assembling program printed.
        problem: String,
    },
    /// Its packages are for an architecture that this host does not run.
    #[error(
        "the packages of {guest} are for {architecture}, and this host runs no such programs: install Debian's package \
         qemu-user-static; where that does not register it, as in a container, run as root: mount -t binfmt_misc none \
         /proc/sys/fs/binfmt_misc; cat /usr/lib/binfmt.d/qemu-{machine}.conf >/proc/sys/fs/binfmt_misc/register"
    )]
    Foreign {
        /// The guest.
        guest: String,
        /// Its architecture, as GOARCH.
        architecture: &'static str,
        /// Its architecture, as `uname -m`.
        machine: &'static str,
    },
    /// KVM runs the host's architecture alone.
    #[error("KVM does not run {guest}, which is for {architecture}; leave --accel out")]
    NoKvm {
        /// The guest.
        guest: String,
        /// Its architecture, as GOARCH.
        architecture: &'static str,
    },
    /// There is no such guest.
    #[error("there is no guest {name:?}{hint}", hint = crate::suggest::hint(nearest))]
    NoGuest {
        /// What was asked for.
        name: String,
        /// The nearest there is.
        nearest: Option<&'static str>,
    },
    /// No such machine is kept.
    #[error("{}{}", match name {
        Some(name) => format!("there is no machine {name:?}"),
        None if there.is_empty() => "no machine is kept; start one with seatrial vm up".to_owned(),
        None => "there are several machines; name one".to_owned(),
    }, match nearest {
        Some(nearest) => format!("; did you mean {nearest:?}?"),
        None if there.is_empty() => String::new(),
        None => format!("; there are {}", there.join(", ")),
    })]
    NoVm {
        /// What was asked for.
        name: Option<String>,
        /// The nearest there is.
        nearest: Option<String>,
        /// All there are.
        there: Vec<String>,
    },
    /// Another machine is called so.
    #[error(
        "there is a machine {0:?} already; give another --name, or end it with seatrial vm down {0}"
    )]
    NameTaken(String),
    /// QEMU ended though nobody asked it to.
    #[error("QEMU ended ({status}): {stderr}\nthe console's last lines:\n{console}")]
    Died {
        /// How.
        status: String,
        /// What it said.
        stderr: String,
        /// What the guest said.
        console: String,
    },
    /// Something that others use did not get free in time.
    #[error("{what} was waited for in vain for {} minutes", limit.as_secs() / 60)]
    Busy {
        /// What.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// The engine did not get ready in time.
    #[error("the daemon is {cause}\n{report}")]
    NotReady {
        /// What was waited for.
        cause: Box<NotReady>,
        /// What the guest says: units, journal, console.
        report: String,
    },
    /// The engine went away again.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A certificate could not be made.
    #[error("cannot make the machine's certificates")]
    Certificate(#[from] rcgen::Error),
    /// The guest agent or QEMU's monitor answered with an error, or not at all.
    #[error("{peer} failed at {command}: {problem}")]
    Channel {
        /// Who.
        peer: &'static str,
        /// What it was asked.
        command: String,
        /// What it answered.
        problem: String,
    },
}

impl VmError {
    /// Whether the machine failed rather than what was asked for.
    pub fn is_environment(&self) -> bool {
        !matches!(self, Self::NoGuest { .. } | Self::NoVm { .. } | Self::NameTaken(_))
    }

    pub(super) fn file(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}
