//! Errors of a check as a whole. An expectation that is not met is not an error: it is part of the
//! verdict.

use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::harness::HarnessError;

/// A check that could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// An image could not be read, built or loaded.
    #[error(transparent)]
    Harness(#[from] HarnessError),
    /// An expectations file is malformed.
    #[error("{place}: {problem}")]
    Expectations {
        /// The file, with the line if it is known.
        place: String,
        /// The mistake.
        problem: String,
    },
    /// Two images of a trial have the same name, so that an engine could only have one of them.
    #[error(
        "{first} and {second} are different images with the same name, {name}, so the engine would \
         have only one of them; build one of them with another name or tag"
    )]
    SameName {
        /// The file or recipe of an image.
        first: String,
        /// That of the other one.
        second: String,
        /// Their name.
        name: String,
    },
    /// The filter excludes every test case.
    #[error("no test case has a name that contains \"{filter}\"; the test cases are: {names}")]
    Filter {
        /// The filter.
        filter: String,
        /// The names of test cases.
        names: String,
    },
}

impl From<ArchiveError> for CheckError {
    fn from(error: ArchiveError) -> Self {
        Self::Harness(error.into())
    }
}

impl From<BuildError> for CheckError {
    fn from(error: BuildError) -> Self {
        Self::Harness(error.into())
    }
}

impl CheckError {
    /// Whether the environment failed, rather than an image or an expectations file.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Harness(error) => error.is_environment(),
            Self::Expectations { .. } | Self::SameName { .. } | Self::Filter { .. } => false,
        }
    }
}
