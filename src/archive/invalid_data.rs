//! The error of all readers for data that is broken or hostile.

use std::io;

/// An error of kind `InvalidData` that says what is wrong.
pub(super) fn invalid_data(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.into())
}
