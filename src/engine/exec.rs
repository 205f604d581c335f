//! Commands in a running container, over Docker's API.

use std::time::Duration;

use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use tokio::io::AsyncWriteExt;

use super::docker::api;
use super::printed::Printed;
use super::{Clock, DockerContainer, EngineError, RunOutput};

/// The action of errors, which follows "failed to".
const ACTION: &str = "run a command in the container";

/// A command that is run in a running container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Variables as `NAME=VALUE`, in addition to the container's.
    pub env: Vec<String>,
    /// The user, as a number or name; by default the container's.
    pub user: Option<String>,
    /// The working directory; by default the container's.
    pub working_dir: Option<String>,
    /// The text on standard input, which is empty by default.
    pub stdin: Option<String>,
}

impl ExecOptions {
    /// A command with the container's user, working directory and variables.
    pub fn command<W: Into<String>>(command: impl IntoIterator<Item = W>) -> Self {
        Self { command: command.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

impl DockerContainer {
    /// Runs a command in the running container, and returns its exit code and output. A command
    /// that does not end in time keeps running in the container.
    ///
    /// # Errors
    /// If the command cannot be started, runs longer than `limit`
    /// ([`StillRunning`](EngineError::StillRunning)), or prints too much.
    pub async fn exec(
        &self,
        options: &ExecOptions,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        self.exec_within(options, limit, &Clock::host()).await
    }

    /// Like [`exec`](Self::exec), with a limit on the time of `clock`.
    pub(super) async fn exec_within(
        &self,
        options: &ExecOptions,
        limit: Duration,
        clock: &Clock,
    ) -> Result<RunOutput, EngineError> {
        let ExecOptions { command, env, user, working_dir, stdin } = options.clone();
        let config = ExecConfig {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command),
            env: Some(env),
            user,
            working_dir,
            ..ExecConfig::default()
        };
        let engine = self.engine();
        let rejected = |error| api(ACTION)(error).into_start_error();
        let id = engine.create_exec(self.id(), config).await.map_err(rejected)?.id;
        let started = engine.start_exec(&id, None).await.map_err(rejected)?;
        let mut printed = Printed::default();
        if let StartExecResults::Attached { output, mut input } = started {
            if let Some(text) = stdin {
                // Meanwhile, the output is read: the command may print before it has read all.
                tokio::spawn(async move {
                    input.write_all(text.as_bytes()).await?;
                    input.shutdown().await
                });
            }
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
