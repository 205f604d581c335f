//! Reasons why a file is not read.

use std::fmt;

/// The reason why a file, or a part of it, is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check) enum Unread {
    /// The kernel refused that, as it does for goss: its tests fail then.
    Refused(String),
    /// Another reason, for which it is not known whether a test fails.
    Unknown(String),
}

impl From<String> for Unread {
    fn from(problem: String) -> Self {
        Self::Unknown(problem)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problem) | Self::Unknown(problem) => problem.fmt(formatter),
        }
    }
}
