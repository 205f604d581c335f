//! Failures of the harness.

use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::engine::{EngineError, WriteError};
use crate::vm::VmError;

/// A failed assertion, or an engine that could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// The VM failed.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The engine in it failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The image could not be read or built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A request failed while something happened to the engine.
    #[error("{failed}; meanwhile {}", happened.join(", "))]
    Meanwhile {
        /// The failure.
        #[source]
        failed: Box<HarnessError>,
        /// The events that the guest reports.
        happened: Vec<String>,
    },
    /// An assertion failed.
    #[error("{image}: {what}\n  expected  {expected}\n  found     {found}")]
    Mismatch {
        /// The image.
        image: String,
        /// The subject of the assertion.
        what: String,
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
