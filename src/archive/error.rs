//! Errors of reading and writing images.

use std::io;
use std::path::{Path, PathBuf};

use super::blob::FetchError;
use crate::files::full_disk;
use crate::files::output::{self, WriteError};
use crate::image::Digest;
use crate::text;

/// A failure to read or write an image or a file that goes into one.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// An input cannot be read.
    #[error("failed to read {path}", path = text::path(path))]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("failed to write {target}")]
    Write {
        /// The output: a path, or `standard output`.
        target: String,
        /// The cause.
        source: io::Error,
    },
    /// A temporary file cannot be created, written or read.
    #[error(
        "failed to write a temporary file in {} (set TMPDIR to use another folder)",
        text::path(.folder)
    )]
    TemporaryFile {
        /// The folder for temporary files.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An image is broken or hostile, or not an image.
    #[error("{}: {}", text::path(path), text::excerpt(problem))]
    Invalid {
        /// The image.
        path: PathBuf,
        /// The problem, and where it is.
        problem: String,
    },
    /// Content does not match its digest.
    #[error(
        "{path}: {part} is corrupted: expected {expected}, found {found}",
        path = text::path(path), part = text::shorten(part)
    )]
    Corrupted {
        /// The image.
        path: PathBuf,
        /// The part of the image.
        part: String,
        /// The digest according to the image.
        expected: Digest,
        /// The digest of the content.
        found: Digest,
    },
    /// A file changed after it was listed or verified.
    #[error(
        "{path} changed while it was read; make sure that nothing writes to it, and try again",
        path = text::path(.0)
    )]
    Changed(PathBuf),
    /// A worker thread stopped without a result.
    #[error("a worker thread stopped unexpectedly")]
    WorkerLost,
}

impl From<WriteError> for ArchiveError {
    fn from(WriteError { target, source }: WriteError) -> Self {
        Self::Write { target, source }
    }
}

impl ArchiveError {
    /// Maps a failure to read `path`.
    pub fn read(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.as_ref().to_owned(), source }
    }

    /// The image at `path` has `problem`.
    pub fn invalid(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Invalid { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// Maps a failure to create, write or read a temporary file.
    pub(crate) fn temporary_file(source: io::Error) -> Self {
        let folder = std::env::temp_dir();
        let source = full_disk::explain(&folder.join("file"), source);
        Self::TemporaryFile { folder, source }
    }

    /// Replaces an error to write the output, which is a temporary file.
    #[must_use]
    pub(crate) fn writing_to_temporary_file(self) -> Self {
        match self {
            Self::Write { source, .. } => Self::temporary_file(source),
            other => other,
        }
    }

    /// Replaces the output's name in an error to write it.
    #[must_use]
    pub fn writing_to(self, target: impl Into<String>) -> Self {
        match self {
            Self::Write { source, .. } => Self::Write { target: target.into(), source },
            other => other,
        }
    }

    /// Replaces the output's name in an error to write it, which is the file at `path`.
    #[must_use]
    pub(crate) fn writing_to_file(self, path: &Path) -> Self {
        match self {
            Self::Write { source, .. } => {
                Self::Write { target: text::path(path), source: full_disk::explain(path, source) }
            }
            other => other,
        }
    }

    /// Whether the host failed rather than the input.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Write { source, .. } => output::is_environment(source),
            Self::Read { source, .. } => {
                FetchError::of(source).is_some_and(|error| error.is_environment)
            }
            Self::TemporaryFile { .. } | Self::WorkerLost => true,
            _ => false,
        }
    }

    /// Whether the reader of the output closed it.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}
