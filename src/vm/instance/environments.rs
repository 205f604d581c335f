//! The environments with which the first programs of containers start. A program in the guest
//! records them (`vm/environments/record`); the guest agent starts it.

use std::time::Duration;

use super::vm::{ANSWER_TIMEOUT, Vm};
use super::wake::random_hex;
use crate::vm::VmError;

const PROGRAM: &str = include_str!("../../../vm/environments/record");
/// How long the guest may take to start the program, or to read what it has recorded.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Prints the record of the container `$2`, and ends the recording.
const READ: &str = r#"cat "$1/$2" 2>/dev/null && rm -rf "$1""#;

/// A recording of environments, which is in progress.
#[derive(Debug)]
pub(crate) struct Recording {
    folder: String,
}

impl Vm {
    /// Starts to record the environments of containers that start from now on.
    ///
    /// # Errors
    /// If the guest does not answer, or its kernel does not report programs that start.
    pub(crate) async fn record_environments(&self) -> Result<Recording, VmError> {
        let folder = format!("/run/seatrial-environments-{}", random_hex::<8>()?);
        let mut agent = self.agent(ANSWER_TIMEOUT).await?;
        let arguments = ["-e", PROGRAM, folder.as_str()];
        let output = agent.run("/usr/bin/perl", &arguments, TIMEOUT).await?;
        match output.success() {
            true => Ok(Recording { folder }),
            false => Err(VmError::Command {
                peer: "the guest",
                command: "the recorder of environments".to_owned(),
                problem: output.stderr.trim_end().to_owned(),
            }),
        }
    }

    /// Returns the environment of the container with this ID, with a zero byte after each variable,
    /// and ends the recording. If it has not been recorded, the recording continues.
    ///
    /// # Errors
    /// If the guest does not answer.
    pub(crate) async fn recorded_environment(
        &self,
        recording: &Recording,
        container: &str,
    ) -> Result<Option<Vec<u8>>, VmError> {
        let mut agent = self.agent(ANSWER_TIMEOUT).await?;
        let arguments = ["-c", READ, "sh", recording.folder.as_str(), container];
        let output = agent.run_with_input("/bin/sh", &arguments, b"", TIMEOUT).await?;
        Ok((output.code == Some(0)).then_some(output.stdout))
    }

    /// Ends a recording.
    ///
    /// # Errors
    /// If the guest does not answer.
    pub(crate) async fn end_recording(&self, recording: Recording) -> Result<(), VmError> {
        let mut agent = self.agent(ANSWER_TIMEOUT).await?;
        agent.run("/bin/rm", &["-rf", &recording.folder], TIMEOUT).await.map(drop)
    }
}
