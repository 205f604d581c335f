//! Commands in a running container, over Docker's API.

use std::time::Duration;

use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;

use super::docker::api;
use super::printed::Printed;
use super::{Clock, DockerContainer, EngineError, RunOutput};

/// The action of errors, which follows "failed to".
const ACTION: &str = "run a command in the container";

impl DockerContainer {
    /// Runs `command` in the running container, as `user` or else as the container's user, and
    /// returns its exit code and output. A command that does not end in time keeps running in the
    /// container.
    ///
    /// # Errors
    /// If the command cannot be started, runs longer than `limit`
    /// ([`StillRunning`](EngineError::StillRunning)), or prints too much.
    pub async fn exec(
        &self,
        command: &[String],
        user: Option<&str>,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        self.exec_within(command, user, limit, &Clock::host()).await
    }

    /// Like [`exec`](Self::exec), with a limit on the time of `clock`.
    pub(super) async fn exec_within(
        &self,
        command: &[String],
        user: Option<&str>,
        limit: Duration,
        clock: &Clock,
    ) -> Result<RunOutput, EngineError> {
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            user: user.map(str::to_owned),
            ..ExecConfig::default()
        };
        let engine = self.engine();
        let rejected = |error| api(ACTION)(error).into_start_error();
        let id = engine.create_exec(self.id(), config).await.map_err(rejected)?.id;
        let started = engine.start_exec(&id, None).await.map_err(rejected)?;
        let mut printed = Printed::default();
        if let StartExecResults::Attached { output, .. } = started {
            match clock.timeout(limit, printed.read(output, ACTION)).await {
                Some(ended) => ended?,
                // Otherwise it is a process that the command has left which keeps its output open.
                None if self.is_running(&id).await? => {
                    let (action, (stdout, stderr)) = (ACTION.to_owned(), printed.into_text());
                    return Err(EngineError::StillRunning { action, limit, stdout, stderr });
                }
                None => {}
            }
        }
        let code = engine.inspect_exec(&id).await.map_err(api(ACTION))?.exit_code.unwrap_or(-1);
        let (stdout, stderr) = printed.into_text();
        Ok(RunOutput { code, out_of_memory: None, stdout, stderr })
    }
    async fn is_running(&self, exec: &str) -> Result<bool, EngineError> {
        let found = self.engine().inspect_exec(exec).await.map_err(api(ACTION))?;
        Ok(found.running != Some(false))
    }
}
