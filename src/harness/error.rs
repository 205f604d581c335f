//! Errors of the harness.

use std::path::PathBuf;
use std::time::Duration;

use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::engine::{EngineError, WriteError};
use crate::text;
use crate::text::errors::chain;
use crate::vm::VmError;

/// A failed assertion, or a failure of the VM, the engine or the image.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// The VM failed.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The engine failed or rejected a request.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The image could not be read or built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A request failed, and the guest reports events that may be the cause.
    #[error("{}; meanwhile, {}", chain(failure), events.join(", "))]
    Meanwhile {
        /// The error of the request.
        failure: Box<HarnessError>,
        /// The events, such as "docker.service was restarted after 2.1 s".
        events: Vec<String>,
    },
    /// No container can meet the conditions for being ready, or the settings of a request.
    #[error("invalid conditions: {0}")]
    InvalidConditions(String),
    /// A container ended before it was ready, or did not become ready in time.
    #[error("failed to wait until a container of {} is ready: {problem}", text::shorten(.image))]
    NotReady {
        /// The image.
        image: String,
        /// The condition that was last not met, or how the container ended.
        problem: String,
    },
    /// A container did not end in time.
    #[error(
        "failed to wait until a container of {} ends: it still runs after {} s; {output}",
        text::shorten(.image), limit.as_secs_f64()
    )]
    StillRunning {
        /// The image.
        image: String,
        /// The time limit.
        limit: Duration,
        /// The end of the container's output.
        output: String,
    },
    /// This host has no port for the connections of a container's port.
    #[error("failed to forward a port of this host to port {port} of a container")]
    Forward {
        /// The port of the container.
        port: u16,
        /// The cause.
        source: std::io::Error,
    },
    /// A file or folder of this host cannot be mounted in a container.
    #[error("failed to mount {}", text::path(path))]
    Mount {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A port of a container does not accept connections.
    #[error(
        "failed to connect to port {port} of a container of {}: {problem}", text::shorten(.image)
    )]
    Refused {
        /// The image.
        image: String,
        /// The port.
        port: u16,
        /// The cause.
        problem: String,
    },
    /// An assertion failed.
    #[error(
        "{}: {}\n  expected  {}\n  found     {}",
        text::shorten(.image), text::shorten(.subject), text::excerpt(.expected),
        text::ends(.found)
    )]
    Mismatch {
        /// The image.
        image: String,
        /// The subject of the assertion.
        subject: String,
        /// The expected value.
        expected: String,
        /// The value found.
        found: String,
    },
}

impl WriteError for HarnessError {
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Build(error) if error.is_broken_pipe())
    }
}

impl From<ArchiveError> for HarnessError {
    fn from(error: ArchiveError) -> Self {
        Self::Build(error.into())
    }
}

impl HarnessError {
    /// Whether the environment failed, rather than the image.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Vm(error) => error.is_environment(),
            Self::Build(error) => error.is_environment(),
            Self::Engine(EngineError::StillRunning { .. }) => false,
            Self::Engine(_) | Self::Meanwhile { .. } | Self::Forward { .. } => true,
            Self::Mount { .. }
            | Self::InvalidConditions(_)
            | Self::NotReady { .. }
            | Self::StillRunning { .. }
            | Self::Refused { .. }
            | Self::Mismatch { .. } => false,
        }
    }

    /// Whether the engine has exited with its VM, restarted or hung.
    pub(crate) fn is_of_lost_engine(&self) -> bool {
        matches!(
            self,
            Self::Vm(_) | Self::Meanwhile { .. } | Self::Engine(EngineError::Unresponsive { .. })
        )
    }

    /// Whether the engine's API cannot do what was asked for.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_unsupported())
    }

    /// Whether an assertion failed, rather than the harness itself.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::Mismatch { .. })
    }
}
