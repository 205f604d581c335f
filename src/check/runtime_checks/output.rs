//! The result of a command, in words.

use crate::conditions::Timeout;

pub(super) use crate::harness::found_exit_code;

/// The output of a container.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub stdout: String,
    pub stderr: String,
    /// The ID of the container.
    pub container: Option<String>,
}

impl From<(String, String)> for Output {
    fn from((stdout, stderr): (String, String)) -> Self {
        Self { stdout, stderr, container: None }
    }
}

/// The default timeout of a command.
pub(super) const DEFAULT_TIMEOUT: Timeout = Timeout::from_secs(60);
