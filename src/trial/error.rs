//! Why a trial did not end well.

use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::engine::EngineError;
use crate::vm::VmError;

/// A trial that failed, or could not be held.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The machine.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The engine in it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The image to be tried could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Something failed while something happened to the engine.
    #[error("{failed}; meanwhile {}", happened.join(", "))]
    Meanwhile {
        /// What failed.
        #[source]
        failed: Box<TrialError>,
        /// What happened, as the guest tells.
        happened: Vec<String>,
    },
    /// A file of expectations is wrong.
    #[error("{place}: {problem}")]
    Expectations {
        /// The file, with the line where that is known.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An expectation was not met.
    #[error("{image}: {what}\n  expected  {expected}\n  found     {found}")]
    Mismatch {
        /// The image.
        image: String,
        /// What was looked at.
        what: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
}

impl crate::load::Writing for TrialError {
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Build(error) if error.is_broken_pipe())
    }
}

impl From<ArchiveError> for TrialError {
    fn from(error: ArchiveError) -> Self {
        Self::Build(error.into())
    }
}

impl TrialError {
    /// Whether the environment failed, rather than an image or what was written about it.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Vm(error) => error.is_environment(),
            Self::Build(error) => error.is_environment(),
            Self::Engine(_) | Self::Meanwhile { .. } => true,
            Self::Expectations { .. } | Self::Mismatch { .. } => false,
        }
    }

    /// Whether an expectation failed, rather than the trial itself.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::Mismatch { .. })
    }
}
