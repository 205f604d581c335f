//! Errors of a build.

use std::io;
use std::path::{Path, PathBuf};

use crate::archive::ArchiveError;
use crate::archive::blob_cache::DamagedBlob;
use crate::archive::entry::display_path;
use crate::closure::ClosureError;
use crate::files::output::WriteError;
use crate::image::env::EnvError;
use crate::layering::{BudgetError, LayeringError};
#[cfg(feature = "registry")]
use crate::registry::RegistryError;
use crate::steps::StepError;
use crate::text;
use crate::text::errors::last_cause;

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The recipe is invalid.
    #[error("{recipe}: {}", text::excerpt(.problem))]
    Recipe {
        /// The recipe's path, with the line if that is known.
        recipe: String,
        /// The problem, and how to fix it.
        problem: String,
    },
    /// An input cannot be read, or the image cannot be written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The closure is incomplete.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// The image would have too many layers.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The layering does not fit the image.
    #[error(transparent)]
    Layering(#[from] LayeringError),
    /// The environment of the base image is invalid.
    #[error("the base image has an invalid environment")]
    BaseEnv(#[from] EnvError),
    /// A step failed, or cannot run.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A registry failed, or has no such image.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The image of another recipe, which the recipe names, cannot be built.
    #[error("failed to build {}", text::path(.recipe))]
    Stage {
        /// The other recipe.
        recipe: PathBuf,
        /// The reason.
        source: Box<Self>,
    },
    /// Two contents, or a content and the base, need the same path for different things.
    #[error(
        "conflict at {}: {first} in {}, {second} in {}; {hint}",
        display_path(.path), text::shorten(.first_origin), text::shorten(.second_origin)
    )]
    Conflict {
        /// The path in the image.
        path: Box<[u8]>,
        /// The kind of the first file.
        first: &'static str,
        /// The content that has it.
        first_origin: String,
        /// The kind of the second file.
        second: &'static str,
        /// The content, or the base image, that has it.
        second_origin: String,
        /// How to resolve the conflict.
        hint: &'static str,
    },
    /// A file of the contents cannot be put into an image.
    #[error("{}: {}", text::path(.path), text::excerpt(.problem))]
    Content {
        /// The file on the host.
        path: PathBuf,
        /// The reason, and how to fix it.
        problem: String,
    },
}

impl From<WriteError> for BuildError {
    fn from(error: WriteError) -> Self {
        Self::Archive(error.into())
    }
}

impl BuildError {
    /// A problem of the recipe at `path`.
    pub(crate) fn recipe(path: &Path, problem: impl Into<String>) -> Self {
        Self::Recipe { recipe: text::path(path), problem: problem.into() }
    }

    /// A problem of the file at `path`.
    pub(crate) fn content(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Content { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// Adds to the error of an input that does not exist, or is not what its key says, that the
    /// recipe at `recipe` names it with `key`.
    #[must_use]
    pub(super) fn of_key(self, recipe: &Path, key: &str) -> Self {
        match self {
            Self::Archive(ArchiveError::Read { path, source })
                if source.kind() == io::ErrorKind::NotFound && !path.is_symlink() =>
            {
                Self::recipe(recipe, cannot_read(key, &path, &source))
            }
            Self::Archive(error @ ArchiveError::Invalid { .. }) => {
                Self::recipe(recipe, format!("{key}: {error}"))
            }
            other => other,
        }
    }

    /// Adds that the error is one of the recipe at `recipe`, which another one names, unless it
    /// says that itself.
    #[must_use]
    pub(super) fn of_stage(self, recipe: &Path) -> Self {
        match self {
            error @ (Self::Recipe { .. } | Self::Stage { .. }) => error,
            error => Self::Stage { recipe: recipe.to_owned(), source: Box::new(error) },
        }
    }

    /// Replaces the output's name in an error to write it.
    #[must_use]
    pub fn writing_to(self, target: impl Into<String>) -> Self {
        match self {
            Self::Archive(error) => Self::Archive(error.writing_to(target)),
            other => other,
        }
    }

    /// Replaces the output's name in an error to write it, which is the file at `path`.
    #[must_use]
    pub(crate) fn writing_to_file(self, path: &Path) -> Self {
        match self {
            Self::Archive(error) => Self::Archive(error.writing_to_file(path)),
            other => other,
        }
    }

    /// Replaces an error to write the output, which is a temporary file.
    #[must_use]
    pub(crate) fn writing_to_temporary_file(self) -> Self {
        match self {
            Self::Archive(error) => Self::Archive(error.writing_to_temporary_file()),
            other => other,
        }
    }

    /// Whether a compressed layer in the layer cache was damaged.
    pub(super) fn is_damaged_cache(&self) -> bool {
        let Self::Archive(ArchiveError::Write { source, .. }) = self else { return false };
        source.get_ref().is_some_and(|error| error.is::<DamagedBlob>())
    }

    /// Whether a step made other bytes when it ran again.
    pub fn is_not_reproducible(&self) -> bool {
        match self {
            Self::Step(error) => error.is_not_reproducible(),
            Self::Stage { source, .. } => source.is_not_reproducible(),
            _ => false,
        }
    }

    /// Whether the host failed, not the input.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Archive(error) => error.is_environment(),
            Self::Step(error) => error.is_environment(),
            Self::Stage { source, .. } => source.is_environment(),
            #[cfg(feature = "registry")]
            Self::Registry(error) => error.is_environment(),
            _ => false,
        }
    }

    /// Whether the reader of the output closed it.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Archive(error) if error.is_broken_pipe())
    }
}

/// Describes that the file at `path`, which a recipe names with `key`, cannot be read because of
/// `error`.
pub(super) fn cannot_read(key: &str, path: &Path, error: &io::Error) -> String {
    let problem = match error.kind() {
        io::ErrorKind::NotFound if path.is_symlink() => "it is a symlink to nothing".to_owned(),
        io::ErrorKind::NotFound if path.is_absolute() => "there is no such file".to_owned(),
        io::ErrorKind::NotFound => {
            "there is no such file; paths are relative to the recipe's folder".to_owned()
        }
        _ => last_cause(error),
    };
    // Without `./` within the path.
    let path: PathBuf = path.components().collect();
    format!("{key}: failed to read {}: {problem}", text::path(&path))
}
