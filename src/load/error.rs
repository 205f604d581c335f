//! Errors of loading an image.

use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::engine::{EngineError, WriteError};
use crate::image::Digest;
use crate::text;

/// An image that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The engine failed, or rejected the image.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The image could not be built or read.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// After loading, the engine has another image under the reference than was sent.
    #[error(
        "the engine has image {} as {}, expected {expected}; load it again",
        text::shorten(.found), text::shorten(.reference)
    )]
    Mismatch {
        /// The image's reference.
        reference: String,
        /// The ID of the image that was sent.
        expected: Digest,
        /// The ID that the engine reports.
        found: String,
    },
}

impl From<ArchiveError> for LoadError {
    fn from(error: ArchiveError) -> Self {
        Self::Build(error.into())
    }
}

impl LoadError {
    /// Whether the environment failed, not the image.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_environment(),
            Self::Mismatch { .. } => true,
            Self::Build(error) => error.is_environment(),
        }
    }
}

impl WriteError for LoadError {
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Build(error) if error.is_broken_pipe())
    }
}
