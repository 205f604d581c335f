//! A container, independent of the API that its engine has.

use std::time::Duration;

use super::{
    Clock, CriContainer, DockerContainer, EngineError, ExecOptions, Exit, FileToCopy, LogStream,
    Pod, RunOptions, RunOutput, State, limits,
};

/// A container. It exists until it is removed.
#[derive(Clone, Debug)]
pub enum Container {
    /// A container of Docker or Podman.
    Docker(DockerContainer),
    /// A container in a pod of its own.
    Cri(CriContainer),
}

/// Evaluates an expression with the container of either API: both have the same methods.
macro_rules! either {
    ($self:ident, $container:ident => $expression:expr) => {
        match $self {
            Self::Docker($container) => $expression,
            Self::Cri($container) => $expression,
        }
    };
}

impl Container {
    /// The container's ID.
    pub fn id(&self) -> &str {
        either!(self, container => container.id())
    }

    /// Returns the container's pod, if it has one.
    pub fn pod(&self) -> Option<Pod> {
        match self {
            Self::Docker(_) => None,
            Self::Cri(container) => Some(container.pod().clone()),
        }
    }

    pub(super) async fn start(&self, options: &RunOptions) -> Result<(), EngineError> {
        either!(self, container => container.start(options.stdin.as_deref()).await)
    }

    /// Waits until the container exits, and returns its exit code.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn wait_for_exit(&self) -> Result<i64, EngineError> {
        either!(self, container => container.wait_for_exit().await)
    }

    /// Waits until the container exits, and returns its exit code and output.
    ///
    /// # Errors
    /// If the request fails, or the output is too large.
    pub async fn wait(&self) -> Result<RunOutput, EngineError> {
        either!(self, container => container.wait().await)
    }

    /// Waits until the container exits, for `limit` on `clock` at most, and returns its exit code
    /// and output. What is requested after the exit does not count. `action` names the container
    /// in errors, in the infinitive: "run app:1".
    pub(crate) async fn wait_within(
        &self,
        limit: Duration,
        clock: &Clock,
        action: &str,
    ) -> Result<RunOutput, EngineError> {
        let exit = match clock.timeout(limit, self.exit()).await {
            Some(exit) => exit?,
            // An engine that does not answer does not know either that the container is running.
            None if self.state().await?.running => {
                let (stdout, stderr) = match self.logs().await {
                    // Says more about a command that never ends than the time does.
                    Err(error @ EngineError::OutputTooLarge) => return Err(error),
                    logs => logs.unwrap_or_default(),
                };
                let action = action.to_owned();
                return Err(EngineError::StillRunning { action, limit, stdout, stderr });
            }
            None => self.exit().await?,
        };
        either!(self, container => container.output_after(exit).await)
    }

    async fn exit(&self) -> Result<Exit, EngineError> {
        either!(self, container => container.exit().await)
    }

    /// Runs a command in the running container, and returns its exit code and output.
    ///
    /// # Errors
    /// If the command cannot be started, runs longer than `limit`, prints too much, or has options
    /// besides the command over CRI.
    pub async fn exec(
        &self,
        options: &ExecOptions,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        self.exec_within(options, limit, &Clock::host()).await
    }

    /// Like [`exec`](Self::exec), with a limit on the time of `clock`. Over CRI, the runtime itself
    /// measures the time.
    pub(crate) async fn exec_within(
        &self,
        options: &ExecOptions,
        limit: Duration,
        clock: &Clock,
    ) -> Result<RunOutput, EngineError> {
        match self {
            Self::Docker(container) => container.exec_within(options, limit, clock).await,
            Self::Cri(container) => match limits::unsupported_in_exec(options) {
                Some(reason) => Err(EngineError::Unsupported(reason)),
                None => container.exec(&options.command, limit).await,
            },
        }
    }

    /// Returns the container's standard output and standard error up to now.
    ///
    /// # Errors
    /// If the request fails, or the output is too large.
    pub async fn logs(&self) -> Result<(String, String), EngineError> {
        either!(self, container => container.logs().await)
    }

    /// Returns the exit code and the output of the last run of the container's health check, if
    /// that did not pass; none otherwise, or if the engine ignores health checks. If it exceeded
    /// its timeout, those of the last run before that failed within its timeout follow, unless the
    /// check has passed since.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn failed_health_checks(&self) -> Result<Vec<(i64, String)>, EngineError> {
        match self {
            Self::Docker(container) => container.failed_health_checks().await,
            Self::Cri(_) => Ok(Vec::new()),
        }
    }

    /// Returns the container's current state.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn state(&self) -> Result<State, EngineError> {
        either!(self, container => container.state().await)
    }

    /// Returns the container's IP address on the engine's network.
    ///
    /// # Errors
    /// If the container has no address, or the request fails.
    pub async fn address(&self) -> Result<String, EngineError> {
        either!(self, container => container.address().await)
    }

    /// Sends the image's stop signal, and kills the container if it has not exited after `grace`.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn stop(&self, grace: Duration) -> Result<(), EngineError> {
        either!(self, container => container.stop(grace).await)
    }

    /// Sends a signal, such as `SIGHUP`, to the container's command.
    ///
    /// # Errors
    /// If the request fails, or the engine has no Docker API.
    pub async fn signal(&self, signal: &str) -> Result<(), EngineError> {
        match self {
            Self::Docker(container) => container.signal(signal).await,
            Self::Cri(_) => Err(EngineError::Unsupported(limits::SIGNALS)),
        }
    }

    /// Returns a tar of at most `limit` bytes, whose first entry is the file at `path` in the
    /// container; `None` if the file does not exist. If it is a symlink, its target is returned
    /// with `follow`, and itself without.
    ///
    /// # Errors
    /// If the request fails, or the engine has no Docker API: over CRI,
    /// [`harness::Container::copy_out`](crate::harness::Container::copy_out) reads files.
    pub async fn copy_out(
        &self,
        path: &str,
        follow: bool,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        match self {
            Self::Docker(container) => container.copy_out(path, follow, limit).await,
            Self::Cri(_) => Err(EngineError::Unsupported(limits::FILES)),
        }
    }

    /// Writes files into the container, which need not be running.
    ///
    /// # Errors
    /// If a path is not absolute, the engine rejects the files, or it has no Docker API: over CRI,
    /// [`harness::Container::copy_in`](crate::harness::Container::copy_in) writes files.
    pub async fn copy_into(&self, files: &[FileToCopy]) -> Result<(), EngineError> {
        match self {
            Self::Docker(container) => container.copy_into(files).await,
            Self::Cri(_) => Err(EngineError::Unsupported(limits::COPY_INTO)),
        }
    }

    /// Returns the container's output from its beginning, as it arrives, until the container ends.
    pub fn follow_logs(&self) -> LogStream {
        either!(self, container => container.follow_logs())
    }

    /// Removes the container and its volumes. A running container is killed.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn remove(self) -> Result<(), EngineError> {
        either!(self, container => container.remove().await)
    }

    /// Removes the container, and returns `result`. If that is an error, it is returned even if the
    /// container cannot be removed, because it came first.
    pub(crate) async fn remove_after<T, E: From<EngineError>>(
        self,
        result: Result<T, E>,
    ) -> Result<T, E> {
        let removed = self.remove().await;
        let value = result?;
        removed?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::engine::{Docker, DockerContainer};

    /// The description of a container that is running.
    const RUNNING: Option<&str> = Some(r#"{"State":{"Running":true}}"#);

    /// Answers a request of Docker's API for a container that does not exit. `described` is the
    /// container's description; if there is none, the connection closes.
    async fn answer(
        mut stream: TcpStream,
        described: Option<&str>,
        printed: &str,
    ) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await?);
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let line = request.lines().next().unwrap_or_default();
        if line.contains("/wait") {
            return std::future::pending().await;
        }
        let (kind, body) = match (line.contains("/logs"), described) {
            (true, _) => {
                let header = [&[1, 0, 0, 0][..], &(printed.len() as u32).to_be_bytes()].concat();
                ("vnd.docker.multiplexed-stream", [&header, printed.as_bytes()].concat())
            }
            (false, Some(described)) => ("json", described.as_bytes().to_vec()),
            (false, None) => return Ok(()),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/{kind}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).await
    }

    /// A container of such an engine.
    async fn container(described: Option<&'static str>, printed: &str) -> Container {
        let printed = printed.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let printed = printed.clone();
                tokio::spawn(async move { answer(stream, described, &printed).await });
            }
        });
        let version = bollard::API_DEFAULT_VERSION;
        let api = bollard::Docker::connect_with_http(&address, 60, version).unwrap();
        Container::Docker(DockerContainer { docker: Docker { api }, id: "c".to_owned() })
    }

    async fn wait(described: Option<&'static str>) -> EngineError {
        let limit = Duration::from_millis(1);
        let container = container(described, "waiting\n").await;
        container.wait_within(limit, &Clock::host(), "run app:1").await.unwrap_err()
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_in_time_is_an_error_with_its_output() {
        let error = wait(RUNNING).await;
        assert_eq!(error.to_string(), "failed to run app:1: still running after 0.001 s");
        let EngineError::StillRunning { stdout, stderr, .. } = error else { panic!() };
        assert_eq!((&*stdout, &*stderr), ("waiting\n", ""));
    }

    #[tokio::test]
    async fn a_command_that_prints_without_end_fails_for_its_output() {
        let printed = "y\n".repeat(9 << 20);
        let container = container(RUNNING, &printed).await;
        let limit = Duration::from_millis(1);
        let waited = container.wait_within(limit, &Clock::host(), "run app:1").await;
        assert!(matches!(waited, Err(EngineError::OutputTooLarge)), "{waited:?}");
    }

    #[tokio::test]
    async fn a_command_is_not_still_running_if_the_engine_does_not_say_so() {
        let error = wait(None).await;
        assert!(matches!(error, EngineError::Api { .. }), "{error}");
        assert!(error.is_environment());
    }

    #[tokio::test]
    async fn a_container_that_cannot_be_removed_does_not_hide_an_error_before_that() {
        let cause = Err(EngineError::NoAddress);
        let error = container(None, "").await.remove_after::<(), _>(cause).await.unwrap_err();
        assert!(matches!(error, EngineError::NoAddress), "{error}");
        let error =
            container(None, "").await.remove_after(Ok::<_, EngineError>(())).await.unwrap_err();
        assert!(error.to_string().contains("remove the container"), "{error}");
    }
}
