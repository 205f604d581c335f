//! An engine and its containers, independent of the API that the engine has.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::timeout;

use super::{
    Cri, CriContainer, Docker, DockerContainer, EngineError, ImageFacts, Pod, RunOptions,
    RunOutput, State,
};

/// A container engine.
#[derive(Clone, Debug)]
pub enum Engine {
    /// An engine with Docker's API: Docker or Podman.
    Docker(Docker),
    /// A runtime with Kubernetes' CRI: containerd.
    Cri(Cri),
}

/// A container. It exists until it is removed.
#[derive(Clone, Debug)]
pub enum Container {
    /// A container of Docker or Podman.
    Docker(DockerContainer),
    /// A container in a pod of its own.
    Cri(CriContainer),
}

impl Engine {
    /// Returns the client of Docker's API, or `None` for an engine with another API.
    pub fn docker(&self) -> Option<&Docker> {
        match self {
            Self::Docker(docker) => Some(docker),
            Self::Cri(_) => None,
        }
    }

    /// Checks that the engine answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.ping().await.map(drop),
            Self::Cri(cri) => cri.version().await.map(drop),
        }
    }

    /// Returns the engine's version.
    ///
    /// # Errors
    /// If the engine does not answer, or its answer has no version.
    pub async fn version(&self) -> Result<String, EngineError> {
        match self {
            Self::Docker(docker) => docker.version().await,
            Self::Cri(cri) => cri.version().await,
        }
    }

    /// Loads the images of an archive while its bytes arrive, and returns the engine's output.
    ///
    /// # Errors
    /// If the engine rejects the archive, or takes longer than `limit`.
    pub async fn load(
        &self,
        archive: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        limit: Duration,
    ) -> Result<String, EngineError> {
        let loaded = match self {
            Self::Docker(docker) => docker.load(archive, limit).await,
            Self::Cri(cri) => cri.load(archive, limit).await,
        };
        loaded.map_err(EngineError::or_disk_full)
    }

    /// Returns the ID, tags, architecture and environment of an image.
    ///
    /// # Errors
    /// If the engine does not have the image.
    pub async fn inspect(&self, image: &str) -> Result<ImageFacts, EngineError> {
        match self {
            Self::Cri(cri) => cri.inspect(image).await,
            Self::Docker(docker) => {
                let found = docker.inspect(image).await?;
                Ok(ImageFacts {
                    id: found.id.unwrap_or_default(),
                    tags: found.repo_tags.unwrap_or_default(),
                    architecture: found.architecture.unwrap_or_default(),
                    env: found.config.and_then(|config| config.env).unwrap_or_default(),
                })
            }
        }
    }

    /// Removes a tag, and the image itself with its last tag.
    ///
    /// # Errors
    /// If the engine does not have the image, or a container uses it.
    pub async fn remove(&self, image: &str) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.remove(image).await,
            Self::Cri(cri) => cri.remove(image).await,
        }
    }

    /// Runs a container of `image`, waits until it exits, and removes it in any case.
    ///
    /// # Errors
    /// If the container cannot be created or started, or runs longer than `limit`.
    pub async fn run(
        &self,
        image: &str,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        let container = self.create(image, options).await?;
        let run = async {
            container.start(options).await?;
            container.wait().await
        };
        let result = match timeout(limit, run).await {
            Ok(result) => result,
            Err(_) => Err(EngineError::Timeout { action: format!("run {image}"), limit }),
        };
        let removed = container.remove().await;
        let output = result?;
        removed.map(|()| output)
    }

    /// Creates a container of `image` and starts it.
    ///
    /// # Errors
    /// If the container cannot be created or started. It is removed then.
    pub async fn start(&self, image: &str, options: &RunOptions) -> Result<Container, EngineError> {
        let container = self.create(image, options).await?;
        match container.start(options).await {
            Ok(()) => Ok(container),
            Err(error) => {
                let _ = container.remove().await;
                Err(error)
            }
        }
    }

    async fn create(&self, image: &str, options: &RunOptions) -> Result<Container, EngineError> {
        match self {
            Self::Docker(docker) => docker.create(image, options).await.map(Container::Docker),
            Self::Cri(cri) => cri.create(image, options).await.map(Container::Cri),
        }
    }
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

    async fn start(&self, options: &RunOptions) -> Result<(), EngineError> {
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
            Self::Cri(_) => {
                let problem = "CRI runs commands only as the user of the container";
                Err(EngineError::Unexpected(problem.to_owned()))
            }
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
            Self::Cri(_) => {
                let problem = "CRI sends only the image's stop signal".to_owned();
                Err(EngineError::Unexpected(problem))
            }
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
            Self::Cri(_) => {
                Err(EngineError::Unexpected("CRI cannot read files of a container".to_owned()))
            }
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
