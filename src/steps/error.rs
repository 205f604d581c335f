//! Errors of steps.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::step::{Place, Step, View};
use crate::archive::ArchiveError;
use crate::linux::signals;
use crate::text;

/// Signs of commands that try to use the network: messages of apt, curl, Python, busybox, apk, npm
/// and Go.
const NO_NETWORK: [&str; 12] = [
    "Temporary failure resolving",
    "emporary failure in name resolution",
    "Could not resolve host",
    "Could not resolve '",
    "Couldn't resolve host",
    "etwork is unreachable",
    "bad address '",
    "temporary error (try again later)",
    "EAI_AGAIN",
    ": no such host",
    // apt and apk without lists of packages, which they download.
    "E: Unable to locate package ",
    "unable to select packages",
];

/// Signs that a program needs more rights than a step in namespaces has.
const REFUSED: [&str; 3] = ["peration not permitted", "ermission denied", "must be superuser"];
/// The beginnings of messages of programs that mount or make devices.
const RESTRICTED: [&str; 3] = ["mount: ", "umount: ", "mknod: "];

/// A step that failed, or a sandbox that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The command failed.
    #[error("step \"{step}\" failed with {status}{}", last_lines(.output))]
    Failed {
        /// The command.
        step: String,
        /// Its exit code or signal, and the likely reason if there is a sign of one.
        status: String,
        /// Its last lines, unless an observer of the steps got them.
        output: Vec<String>,
    },
    /// The command did not end in time.
    #[error(
        "step \"{step}\" did not end within {} s; set its timeout if it needs longer{}",
        .limit.as_secs(), last_lines(.output)
    )]
    Timeout {
        /// The command.
        step: String,
        /// The time limit.
        limit: Duration,
        /// Its last lines, unless an observer of the steps got them.
        output: Vec<String>,
    },
    /// The step cannot run as it is described.
    #[error("step \"{step}\": {}", text::message(.problem))]
    Invalid {
        /// The command.
        step: String,
        /// The problem, and how to fix it.
        problem: String,
    },
    /// Two runs of the same step gave different files.
    #[error(
        "step \"{step}\" is not reproducible: two runs differ in {}; make it write the same bytes \
         each time, or remove what differs at its end",
        text::list(.paths)
    )]
    NotReproducible {
        /// The command.
        step: String,
        /// The paths that differ.
        paths: Vec<String>,
    },
    /// Two runs of a step gave the same files, but others than the run whose layer is in the cache.
    #[error(
        "step \"{step}\" makes another layer now than the one in the cache, which differs in {}: \
         something that is not among its inputs has changed, such as what it fetches; build with \
         --refresh to replace that layer",
        text::list(.paths)
    )]
    ChangedSince {
        /// The command.
        step: String,
        /// The paths that differ.
        paths: Vec<String>,
    },
    /// A program that runs steps is not installed.
    #[error("{program} is not installed, which runs steps; install the package {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The Debian package that contains it.
        package: &'static str,
    },
    /// This host does not give the step a sandbox.
    #[error("cannot run steps on this host: {}", text::message(.0))]
    Sandbox(String),
    /// The VM of a step failed.
    #[error("failed to run a step in a VM of {guest}")]
    Vm {
        /// The guest.
        guest: String,
        /// Whether the host failed, not the input.
        is_environment: bool,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A layer below the step cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A layer below the step cannot be built.
    #[error("failed to build the layers below a step")]
    Layer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file of the cache, or a program that runs steps, failed.
    #[error("failed to {action} {}", text::path(.path))]
    Io {
        /// The action.
        action: &'static str,
        /// The file, folder or program.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl StepError {
    /// Maps a failure to do `action` with `path`.
    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    /// The failure of the command of `step`, which ended with `status` and printed `output` last.
    pub(crate) fn failed(step: &Step, mut status: String, output: Vec<String>) -> Self {
        let lacks_network = |line: &String| NO_NETWORK.iter().any(|sign| line.contains(sign));
        let lacks_rights = |line: &String| {
            let is_refused = REFUSED.iter().any(|sign| line.contains(sign));
            is_refused && RESTRICTED.iter().any(|program| line.contains(program))
        };
        if !step.network && step.view == View::Image && output.iter().any(lacks_network) {
            status.push_str("; the step has no network: set network = true if it needs one");
        }
        if step.place == Place::Namespace && output.iter().any(lacks_rights) {
            status.push_str("; mounts and devices need where = \"vm\"");
        }
        Self::Failed { step: step.title(), status, output }
    }

    /// Removes the last lines, which the user has seen already.
    pub(crate) fn without_output(mut self) -> Self {
        if let Self::Failed { output, .. } | Self::Timeout { output, .. } = &mut self {
            output.clear();
        }
        self
    }

    /// Whether a step makes another layer now than before.
    pub(crate) fn is_not_reproducible(&self) -> bool {
        matches!(self, Self::NotReproducible { .. } | Self::ChangedSince { .. })
    }

    /// Whether the host failed, not the input.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Sandbox(_) | Self::Io { .. } => true,
            Self::Archive(error) => error.is_environment(),
            Self::Vm { is_environment, .. } => *is_environment,
            _ => false,
        }
    }
}

/// An exit code for messages, with the signal if it stands for one.
pub(crate) fn exit_status(code: i64) -> String {
    match code {
        129..=192 => format!("exit code {code} ({})", signals::describe(code - 128)),
        code => format!("exit code {code}"),
    }
}

fn last_lines(output: &[String]) -> String {
    match output {
        [] => String::new(),
        lines => format!("; its last lines:\n  {}", lines.join("\n  ")),
    }
}
