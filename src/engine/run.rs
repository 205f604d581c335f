//! Options and results of containers, the same for all engines.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::settings::Settings;
use crate::linux::signals;

/// The limit of a container's output in bytes.
pub const OUTPUT_MAX: usize = 16 << 20;

/// Options for a container. Options that are not set keep the image's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Replaces the image's `Cmd`.
    pub command: Option<Vec<String>>,
    /// Replaces the image's `Entrypoint`.
    pub entrypoint: Option<Vec<String>>,
    /// Variables as `NAME=VALUE`, which override the image's.
    pub env: Vec<String>,
    /// The user, as a number or name.
    pub user: Option<String>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// Whether the container is on the engine's default network.
    pub network: bool,
    /// The network that the container joins instead of the engine's default network.
    pub attachment: Option<NetworkAttachment>,
    /// Whether the engine sets up no network for the container, which makes it start much faster.
    /// With Docker, it then has a loopback interface and no `/etc/hosts` but the image's. In a pod,
    /// it uses the node's network.
    pub bare: bool,
    /// Paths at which anonymous volumes are mounted.
    pub volumes: Vec<String>,
    /// Bind mounts as `HOST_PATH:CONTAINER_PATH[:ro]`. The host is that of the engine: a guest.
    pub binds: Vec<String>,
    /// Files and folders of this host, copies of which are mounted. Only
    /// [`harness`](crate::harness) can do that.
    pub mounts: Vec<Mount>,
    /// The text on standard input.
    pub stdin: Option<String>,
    /// The pod in which the container is created, over CRI; by default one of its own.
    pub pod: Option<Pod>,
    /// Settings of isolation and resources.
    pub settings: Settings,
}

/// A network that a container joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkAttachment {
    /// The name of the network.
    pub network: String,
    /// Host names by which other containers on the network reach the container.
    pub aliases: Vec<String>,
}

/// A file or folder of this host, a copy of which is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path on this host.
    pub source: PathBuf,
    /// The absolute path in the container.
    pub target: String,
    /// Whether the container may change the copy, which all containers of an engine then share that
    /// mount the same source so. Files on this host never change.
    pub writable: bool,
}

impl Mount {
    /// A copy of `source`, a file or folder of this host, read-only at `target` in the container.
    pub fn new(source: impl Into<PathBuf>, target: impl Into<String>) -> Self {
        Self { source: source.into(), target: target.into(), writable: false }
    }

    /// The same mount, [`writable`](Self::writable).
    pub fn writable(self) -> Self {
        Self { writable: true, ..self }
    }
}

/// A pod over CRI, in which further containers can be created. It ends with the container that it
/// was created for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub(super) id: String,
    pub(super) uid: String,
    pub(super) hostname: String,
}

impl RunOptions {
    /// Options that replace the image's `Cmd` by `command`.
    pub fn command(command: &[&str]) -> Self {
        Self { command: Some(owned(command)), ..Self::default() }
    }

    /// Options of a service: the image's own command, on the engine's default network, so that its
    /// ports are reachable.
    pub fn service() -> Self {
        Self { network: true, ..Self::default() }
    }

    /// Options that run `program`, a statically linked program of the engine's host, instead of the
    /// image's own.
    pub fn tool(program: &str, arguments: &[&str]) -> Self {
        // A program like busybox selects its function by the name under which it is run.
        let name = program.rsplit('/').next().unwrap_or(program);
        let path = format!("/.seatrial/{name}");
        Self {
            binds: vec![format!("{program}:{path}:ro")],
            entrypoint: Some(vec![path]),
            command: Some(owned(arguments)),
            ..Self::default()
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// The exit code and output of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutput {
    /// The exit code. If a signal ended the command: 128 plus the signal's number, as in shells.
    pub code: i64,
    /// If the kernel killed a process of the container because memory was exhausted: whose memory.
    pub out_of_memory: Option<OutOfMemory>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl RunOutput {
    /// The signal that ended the command, according to the exit code. A command that exits with 137
    /// itself cannot be distinguished from one that was killed.
    pub fn signal(&self) -> Option<i64> {
        signals::of_exit_code(self.code)
    }

    /// Explains the exit code, as far as its reason is known.
    pub(crate) fn reason(&self) -> Option<String> {
        reason(self.code, self.out_of_memory.is_some())
    }
}

fn reason(code: i64, out_of_memory: bool) -> Option<String> {
    match signals::of_exit_code(code) {
        Some(9) if out_of_memory => Some("killed because memory was exhausted".to_owned()),
        _ if out_of_memory => {
            Some("one of its processes was killed because memory was exhausted".to_owned())
        }
        Some(signal) => Some(format!("probably ended by {}", signals::describe(signal))),
        None => None,
    }
}

/// Whose memory was exhausted when the kernel killed a process of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfMemory {
    /// The container's, which reached its limit.
    Container,
    /// The engine's host's.
    Host,
    /// The engine does not say.
    Unknown,
}

/// The exit of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, as in [`RunOutput::code`].
    pub code: i64,
    /// If the kernel killed a process of the container because memory was exhausted: whose memory.
    pub out_of_memory: Option<OutOfMemory>,
    /// The time for which the container ran, if the engine reports it.
    pub duration: Option<Duration>,
}

impl Exit {
    /// The signal that ended the command, according to the exit code.
    pub fn signal(&self) -> Option<i64> {
        signals::of_exit_code(self.code)
    }
}

impl fmt::Display for Exit {
    /// Writes the exit code, its reason and the duration, as far as they are known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.code)?;
        if let Some(reason) = reason(self.code, self.out_of_memory.is_some()) {
            write!(f, " ({reason})")?;
        }
        match self.duration {
            Some(duration) => write!(f, " after {:.1} s", duration.as_secs_f64()),
            None => Ok(()),
        }
    }
}

/// The state of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether the container is running.
    pub running: bool,
    /// How the container exited, if it has exited.
    pub exit: Option<Exit>,
    /// The status of the health check, if the image has one and the engine supports it.
    pub health: Option<String>,
}
