//! The result of a command, in words.

use crate::check::expectations::Timeout;
use crate::engine::RunOutput;
use crate::harness::value;

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

/// Formats the exit code that was found; with standard error, which usually explains it, if
/// `with_stderr` is true.
pub(super) fn found_exit_code(output: &RunOutput, with_stderr: bool) -> String {
    let mut found = output.code.to_string();
    if let Some(signal) = output.signal() {
        found += &format!(" (probably ended by signal {signal})");
    }
    if with_stderr && !output.stderr.is_empty() {
        found += &format!(", standard error {}", value::excerpt_of_end(&output.stderr));
    }
    found
}
