//! What can go wrong with machines. All of it is the environment's fault, never the image's.

use std::io;
use std::path::PathBuf;

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
    /// The guest could not be put together.
    #[error("cannot assemble the guest {guest}: {problem}")]
    Assembly {
        /// Which.
        guest: String,
        /// The last lines that the assembling program printed.
        problem: String,
    },
    /// There is no such guest.
    #[error("there is no guest {name:?}{hint}", hint = crate::suggest::hint(nearest))]
    NoGuest {
        /// What was asked for.
        name: String,
        /// The nearest there is.
        nearest: Option<&'static str>,
    },
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
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}
