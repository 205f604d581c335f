//! What can go wrong while images are read and written.

use std::io;
use std::path::{Path, PathBuf};

use crate::image::Digest;

/// A failure to read or write an image or a file that goes into one.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// An input cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write {target}")]
    Write {
        /// The output: a path, or `standard output`.
        target: String,
        /// Why.
        source: io::Error,
    },
    /// An image is not what it should be.
    #[error("{path}: {problem}", path = path.display())]
    Invalid {
        /// The image.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// Some content does not have the digest it is named by.
    #[error("{path}: {what} is corrupted: expected {expected}, found {found}", path = path.display())]
    Corrupted {
        /// The image.
        path: PathBuf,
        /// The part.
        what: String,
        /// The digest by which the image names it.
        expected: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// A file changed between being listed and being read.
    #[error("{path} changed while it was read; build again when nothing writes to it", path = .0.display())]
    Changed(PathBuf),
    /// A worker thread ended without a word.
    #[error("a worker thread of the pipeline ended early")]
    Lost,
}

impl ArchiveError {
    /// The failure to read `path`.
    pub fn read(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.as_ref().to_owned(), source }
    }

    /// An image at `path` that has `problem`.
    pub fn invalid(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Invalid { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// Whether the machine failed rather than the input.
    pub fn is_environment(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Lost)
    }

    /// Whether whoever read the output went away.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}
