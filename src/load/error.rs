//! Why an image did not get into an engine.

use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::engine::{EngineError, WriteError};
use crate::image::Digest;

/// An image that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The engine failed or refused it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It could not be built or read.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The engine has another image than was sent.
    #[error("the engine has {found} as {reference}, which was to be {meant}")]
    Different {
        /// The image's reference.
        reference: String,
        /// The id that was meant.
        meant: Digest,
        /// The id that the engine tells.
        found: String,
    },
}

impl From<ArchiveError> for LoadError {
    fn from(error: ArchiveError) -> Self {
        Self::Build(error.into())
    }
}

impl LoadError {
    /// Whether the environment failed, rather than the image.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_environment(),
            Self::Different { .. } => true,
            Self::Build(error) => error.is_environment(),
        }
    }
}

impl WriteError for LoadError {
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Build(error) if error.is_broken_pipe())
    }
}
