//! Commands in a running container, over Docker's API.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::docker::api;
use super::run::OUTPUT_MAX;
use super::{DockerContainer, EngineError, RunOutput};

impl DockerContainer {
    /// Runs `command` in the running container, as `user` or else as the container's user, and
    /// returns its exit code and output. A command that does not end in time keeps running in the
    /// container.
    ///
    /// # Errors
    /// If the command cannot be started, runs longer than `limit`, or prints too much.
    pub async fn exec(
        &self,
        command: &[String],
        user: Option<&str>,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        let run = self.exec_without_limit(command, user);
        match timeout(limit, run).await {
            Ok(result) => result,
            Err(_) => {
                let action = "run a command in the container".to_owned();
                Err(EngineError::Timeout { action, limit })
            }
        }
    }

    async fn exec_without_limit(
        &self,
        command: &[String],
        user: Option<&str>,
    ) -> Result<RunOutput, EngineError> {
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            user: user.map(str::to_owned),
            ..ExecConfig::default()
        };
        let engine = self.engine();
        let failed = || api("run a command in the container");
        let rejected = |error| failed()(error).into_start_error();
        let id = engine.create_exec(self.id(), config).await.map_err(rejected)?.id;
        let started = engine.start_exec(&id, None).await.map_err(rejected)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(part) = output.next().await {
                match part.map_err(failed())? {
                    LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        stdout.extend_from_slice(&message);
                    }
                    LogOutput::StdIn { .. } => {}
                }
                if stdout.len() + stderr.len() > OUTPUT_MAX {
                    return Err(EngineError::OutputTooLarge);
                }
            }
        }
        let code = engine.inspect_exec(&id).await.map_err(failed())?.exit_code.unwrap_or(-1);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(RunOutput { code, out_of_memory: None, stdout: text(stdout), stderr: text(stderr) })
    }
}
