//! Requests for files of containers, and the reasons why they are not read.

use std::fmt;

use rustix::io::Errno;

/// A file to be read.
#[derive(Clone, Debug)]
pub(crate) struct FileRequest {
    /// The path in the container, from its root.
    pub path: String,
    /// Whether a symlink at the path itself is followed.
    pub follow: bool,
    /// The size of the largest file whose content is read; `None` if no content is needed.
    pub content_max: Option<usize>,
    /// Whether the file is gone when the container has ended, as those of tmpfs mounts are.
    pub ends_with_container: bool,
}

/// The reason why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileError {
    /// A system call failed with this error, as it does for a command in the container.
    System(Errno),
    /// The file system or the kernel does not answer: for this file, or one that was to be read
    /// before it.
    Late,
    /// Another reason, as a sentence.
    Other(String),
}

impl FileError {
    /// Whether there is no such file, as for `test -e`: symlinks that form a loop lead nowhere.
    pub(crate) fn is_absent(&self) -> bool {
        use Errno as E;
        matches!(self, Self::System(E::NOENT | E::NOTDIR | E::LOOP | E::NAMETOOLONG))
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(formatter),
            Self::Late => formatter.write_str(
                "files of the container were not read or written within 60 s; the file system or \
                 the kernel does not answer",
            ),
            Self::Other(problem) => problem.fmt(formatter),
        }
    }
}
