//! Errors of the harness.

use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::engine::{EngineError, WriteError};
use crate::errors::chain;
use crate::text;
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
    /// An assertion failed.
    #[error(
        "{}: {}\n  expected  {}\n  found     {}",
        text::shorten(.image), text::shorten(.subject), text::excerpt(.expected),
        text::excerpt(.found)
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
            Self::Engine(_) | Self::Meanwhile { .. } => true,
            Self::Mismatch { .. } => false,
        }
    }

    /// Whether an assertion failed, rather than the harness itself.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::Mismatch { .. })
    }
}
