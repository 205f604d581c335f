//! Errors of a replay as a whole. A client that fails is an outcome, not an error.

use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::engine::EngineError;
use crate::vm::VmError;

/// A replay that could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The VM failed.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The client's image could not be built, or a scenario file could not be read.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A scenario is unknown or invalid.
    #[error("{place}: {problem}")]
    Scenario {
        /// The scenario's name or file, with the line if it is known.
        place: String,
        /// The mistake.
        problem: String,
    },
}

impl From<ArchiveError> for ReplayError {
    fn from(error: ArchiveError) -> Self {
        Self::Build(error.into())
    }
}

impl ReplayError {
    /// Whether the environment failed, rather than the user's input.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Vm(error) => error.is_environment(),
            Self::Engine(_) => true,
            Self::Build(error) => error.is_environment(),
            Self::Scenario { .. } => false,
        }
    }
}
