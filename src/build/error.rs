//! What can go wrong between a recipe and its image.

use std::path::{Path, PathBuf};

use crate::archive::ArchiveError;
use crate::archive::entry::display_path;
use crate::closure::ClosureError;
use crate::image::env::EnvError;
use crate::layering::BudgetError;

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The recipe is wrong.
    #[error("{recipe}: {problem}")]
    Recipe {
        /// The recipe, with the line where that is known.
        recipe: String,
        /// What is wrong with it and how to mend it.
        problem: String,
    },
    /// Reading inputs or writing the image failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The closure is not whole.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// There are too few layers.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The base image's environment is wrong.
    #[error("the base image's environment is broken")]
    BaseEnv(#[from] EnvError),
    /// Two things want the same place.
    #[error("{} is {one} from {from} and {other} in {to}; {mend}", display_path(.path))]
    Conflict {
        /// The place in the image.
        path: Box<[u8]>,
        /// What one is.
        one: &'static str,
        /// Where it comes from.
        from: String,
        /// What the other is.
        other: &'static str,
        /// Where that is.
        to: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// A file that cannot go into an image.
    #[error("{path} {problem}", path = path.display())]
    Unfit {
        /// The file on this machine.
        path: PathBuf,
        /// Why not, and how to mend it.
        problem: String,
    },
}

impl BuildError {
    pub(crate) fn unfit(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Unfit { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// The same error, with `target` named as what could not be written.
    #[must_use]
    pub fn writing_to(self, target: impl Into<String>) -> Self {
        match self {
            Self::Archive(ArchiveError::Write { source, .. }) => {
                Self::Archive(ArchiveError::Write { target: target.into(), source })
            }
            other => other,
        }
    }

    /// Whether the machine failed rather than the input.
    pub fn is_environment(&self) -> bool {
        matches!(self, Self::Archive(error) if error.is_environment())
    }

    /// Whether whoever read the output went away.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Archive(error) if error.is_broken_pipe())
    }
}
