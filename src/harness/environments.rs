//! Environments with which the first programs of containers start.

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::vm::instance::Recording;

impl Daemon {
    /// Starts to record the environments of containers that start from now on.
    ///
    /// # Errors
    /// If the guest does not answer, or its kernel does not report programs that start.
    pub(crate) async fn record_environments(&self) -> Result<Recording, HarnessError> {
        Ok(self.vm().record_environments().await?)
    }

    /// Returns the entries of the environment of the container with this ID, as the bytes that the
    /// kernel passed to its first program, and ends the recording. If they have not been recorded,
    /// the recording continues.
    ///
    /// # Errors
    /// If the guest does not answer.
    pub(crate) async fn recorded_environment(
        &self,
        recording: &Recording,
        container: &str,
    ) -> Result<Option<Vec<Vec<u8>>>, HarnessError> {
        let recorded = self.vm().recorded_environment(recording, container).await?;
        Ok(recorded.map(|bytes| entries(&bytes)))
    }

    /// Ends a recording.
    ///
    /// # Errors
    /// If the guest does not answer.
    pub(crate) async fn end_recording(&self, recording: Recording) -> Result<(), HarnessError> {
        Ok(self.vm().end_recording(recording).await?)
    }
}

/// Splits an environment into its entries, each of which ends with a zero byte.
pub(super) fn entries(bytes: &[u8]) -> Vec<Vec<u8>> {
    let entries = bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    entries.map(<[u8]>::to_vec).collect()
}
