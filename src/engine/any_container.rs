//! A container, independent of the API that its engine has.

use std::time::Duration;

use super::{
    CriContainer, DockerContainer, EngineError, FileToCopy, LogStream, Pod, RunOptions, RunOutput,
    State, limits,
};

/// A container. It exists until it is removed.
#[derive(Clone, Debug)]
pub enum Container {
    /// A container of Docker or Podman.
    Docker(DockerContainer),
    /// A container in a pod of its own.
    Cri(CriContainer),
}

impl Container {
    /// The container's ID.
    pub fn id(&self) -> &str {
        match self {
            Self::Docker(container) => container.id(),
            Self::Cri(container) => container.id(),
        }
    }

    /// Returns the container's pod, if it has one.
    pub fn pod(&self) -> Option<Pod> {
        match self {
            Self::Docker(_) => None,
            Self::Cri(container) => Some(container.pod().clone()),
        }
    }

    pub(super) async fn start(&self, options: &RunOptions) -> Result<(), EngineError> {
        match self {
            Self::Docker(container) => container.start(options.stdin.as_deref()).await,
            Self::Cri(container) => container.start(options.stdin.as_deref()).await,
        }
    }

    /// Waits until the container exits, and returns its exit code.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn wait_for_exit(&self) -> Result<i64, EngineError> {
        match self {
            Self::Docker(container) => container.wait_for_exit().await,
            Self::Cri(container) => container.wait_for_exit().await,
        }
    }

    /// Waits until the container exits, and returns its exit code and output.
    ///
    /// # Errors
    /// If the request fails, or the output is too large.
    pub async fn wait(&self) -> Result<RunOutput, EngineError> {
        match self {
            Self::Docker(container) => container.wait().await,
            Self::Cri(container) => container.wait().await,
        }
    }

    /// Runs `command` in the running container, as `user` or else as the container's user, and
    /// returns its exit code and output.
    ///
    /// # Errors
    /// If the command cannot be started, runs longer than `limit`, prints too much, or has a
    /// user over CRI.
    pub async fn exec(
        &self,
        command: &[String],
        user: Option<&str>,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        match self {
            Self::Docker(container) => container.exec(command, user, limit).await,
            Self::Cri(container) if user.is_none() => container.exec(command, limit).await,
            Self::Cri(_) => Err(EngineError::Unsupported(limits::EXEC_USER)),
        }
    }

    /// Returns the container's standard output and standard error up to now.
    ///
    /// # Errors
    /// If the request fails, or the output is too large.
    pub async fn logs(&self) -> Result<(String, String), EngineError> {
        match self {
            Self::Docker(container) => container.logs().await,
            Self::Cri(container) => container.logs().await,
        }
    }

    /// Returns the exit code and the output of the last run of the container's health check; `None`
    /// if there was none, or the engine ignores health checks.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn last_health_check(&self) -> Result<Option<(i64, String)>, EngineError> {
        match self {
            Self::Docker(container) => container.last_health_check().await,
            Self::Cri(_) => Ok(None),
        }
    }

    /// Returns the container's current state.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn state(&self) -> Result<State, EngineError> {
        match self {
            Self::Docker(container) => container.state().await,
            Self::Cri(container) => container.state().await,
        }
    }

    /// Returns the container's IP address on the engine's network.
    ///
    /// # Errors
    /// If the container has no address, or the request fails.
    pub async fn address(&self) -> Result<String, EngineError> {
        match self {
            Self::Docker(container) => container.address().await,
            Self::Cri(container) => container.address().await,
        }
    }

    /// Sends the image's stop signal, and kills the container if it has not exited after `grace`.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn stop(&self, grace: Duration) -> Result<(), EngineError> {
        match self {
            Self::Docker(container) => container.stop(grace).await,
            Self::Cri(container) => container.stop(grace).await,
        }
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
    /// container; `None` if the file does not exist.
    ///
    /// # Errors
    /// If the request fails, or the engine has no Docker API.
    pub async fn copy_out(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, EngineError> {
        match self {
            Self::Docker(container) => container.copy_out(path, limit).await,
            Self::Cri(_) => Err(EngineError::Unsupported(limits::FILES)),
        }
    }

    /// Writes files into the container, which need not be running.
    ///
    /// # Errors
    /// If a path is not absolute, the engine rejects the files, or it has no Docker API.
    pub async fn copy_into(&self, files: &[FileToCopy]) -> Result<(), EngineError> {
        match self {
            Self::Docker(container) => container.copy_into(files).await,
            Self::Cri(_) => Err(EngineError::Unsupported(limits::COPY_INTO)),
        }
    }

    /// Returns the container's output from its beginning, as it arrives, until the container ends.
    pub fn follow_logs(&self) -> LogStream {
        match self {
            Self::Docker(container) => container.follow_logs(),
            Self::Cri(container) => container.follow_logs(),
        }
    }

    /// Removes the container and its volumes. A running container is killed.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn remove(self) -> Result<(), EngineError> {
        match self {
            Self::Docker(container) => container.remove().await,
            Self::Cri(container) => container.remove().await,
        }
    }
}
