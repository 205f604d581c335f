//! The output of a command, with a size limit.

use bollard::container::LogOutput;
use bollard::errors::Error;
use futures_util::{Stream, StreamExt};

use super::EngineError;
use super::docker::api;
use super::run::OUTPUT_MAX;

/// The output of a command up to now.
#[derive(Debug, Default)]
pub(super) struct Printed {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Printed {
    /// Adds the output that Docker's API sends until it ends. `action` completes an error's "failed
    /// to".
    pub(super) async fn read(
        &mut self,
        parts: impl Stream<Item = Result<LogOutput, Error>>,
        action: &str,
    ) -> Result<(), EngineError> {
        let mut parts = std::pin::pin!(parts);
        while let Some(part) = parts.next().await {
            match part.map_err(api(action))? {
                LogOutput::StdErr { message } => self.add(&[], &message)?,
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    self.add(&message, &[])?;
                }
                LogOutput::StdIn { .. } => {}
            }
        }
        Ok(())
    }

    /// Adds output, or returns an error if it is too large.
    pub(super) fn add(&mut self, stdout: &[u8], stderr: &[u8]) -> Result<(), EngineError> {
        self.stdout.extend_from_slice(stdout);
        self.stderr.extend_from_slice(stderr);
        match self.stdout.len() + self.stderr.len() > OUTPUT_MAX {
            true => Err(EngineError::OutputTooLarge),
            false => Ok(()),
        }
    }

    /// Returns standard output and standard error.
    pub(super) fn into_text(self) -> (String, String) {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(self.stdout), text(self.stderr))
    }
}
