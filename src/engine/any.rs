//! An engine, whichever API it speaks: what trials ask of every one of them.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::timeout;

use super::{
    Cri, CriContainer, Docker, DockerContainer, EngineError, ImageFacts, RunOptions, RunOutput,
    State,
};

/// A container engine.
#[derive(Clone, Debug)]
pub enum Engine {
    /// Docker's API, which Podman speaks too.
    Docker(Docker),
    /// The container runtime interface of Kubernetes.
    Cri(Cri),
}

/// A container. It stays in the engine until it is removed.
#[derive(Clone, Debug)]
pub enum Container {
    /// One over Docker's API.
    Docker(DockerContainer),
    /// One in a pod of its own.
    Cri(CriContainer),
}

impl Engine {
    /// Docker's API, where the engine speaks it.
    pub fn docker(&self) -> Option<&Docker> {
        match self {
            Self::Docker(docker) => Some(docker),
            Self::Cri(_) => None,
        }
    }

    /// Why containers cannot be run as `options` have it, where the engine lacks something of that.
    pub fn lacks(&self, options: &RunOptions) -> Option<&'static str> {
        match self {
            Self::Docker(_) => None,
            Self::Cri(_) => Cri::unsupported(options),
        }
    }

    /// Why it tells nothing of an image's healthcheck, where that is so.
    pub fn ignores_health(&self) -> Option<&'static str> {
        match self {
            Self::Docker(_) => None,
            Self::Cri(_) => Some("CRI heeds no healthcheck of an image's"),
        }
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.ping().await.map(drop),
            Self::Cri(cri) => cri.version().await.map(drop),
        }
    }

    /// Its version.
    ///
    /// # Errors
    /// When it does not answer, or without a version.
    pub async fn version(&self) -> Result<String, EngineError> {
        match self {
            Self::Docker(docker) => docker.version().await,
            Self::Cri(cri) => cri.version().await,
        }
    }

    /// Loads the images of an archive as its bytes come, within `limit`, and gives what the engine said.
    ///
    /// # Errors
    /// When it refuses the archive, or is not done in time.
    pub async fn load(
        &self,
        archive: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        limit: Duration,
    ) -> Result<String, EngineError> {
        match self {
            Self::Docker(docker) => docker.load(archive, limit).await,
            Self::Cri(cri) => cri.load(archive, limit).await,
        }
    }

    /// What it knows of an image.
    ///
    /// # Errors
    /// When it does not have it.
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

    /// Removes an image's name, and the image with its last one.
    ///
    /// # Errors
    /// When the engine does not have it, or a container uses it.
    pub async fn remove(&self, image: &str) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.remove(image).await,
            Self::Cri(cri) => cri.remove(image).await,
        }
    }

    /// Runs a container of `image` and waits for its end for `limit` at most. The container is removed in any case.
    ///
    /// # Errors
    /// When it cannot be made or started, or does not end in time.
    pub async fn run(
        &self,
        image: &str,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        let container = self.create(image, options).await?;
        let run = async {
            container.start(options).await?;
            container.end().await
        };
        let result = match timeout(limit, run).await {
            Ok(result) => result,
            Err(_) => Err(EngineError::Deadline { doing: format!("running {image}"), limit }),
        };
        let removed = container.remove().await;
        let output = result?;
        removed.map(|()| output)
    }

    /// Makes a container of `image` and starts it.
    ///
    /// # Errors
    /// When it cannot be made or started; nothing of it is left then.
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
    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Docker(container) => container.id(),
            Self::Cri(container) => container.id(),
        }
    }

    async fn start(&self, options: &RunOptions) -> Result<(), EngineError> {
        match self {
            Self::Docker(container) => container.start(options.stdin.as_deref()).await,
            Self::Cri(container) => container.start().await,
        }
    }

    /// Waits for its end, and gives what it printed.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn end(&self) -> Result<RunOutput, EngineError> {
        match self {
            Self::Docker(container) => container.end().await,
            Self::Cri(container) => container.end().await,
        }
    }

    /// What it has printed so far: standard output and standard error.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn logs(&self) -> Result<(String, String), EngineError> {
        match self {
            Self::Docker(container) => container.logs().await,
            Self::Cri(container) => container.logs().await,
        }
    }

    /// How it is now.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn state(&self) -> Result<State, EngineError> {
        match self {
            Self::Docker(container) => container.state().await,
            Self::Cri(container) => container.state().await,
        }
    }

    /// Its address on the engine's network.
    ///
    /// # Errors
    /// When it has none.
    pub async fn address(&self) -> Result<String, EngineError> {
        match self {
            Self::Docker(container) => container.address().await,
            Self::Cri(container) => container.address().await,
        }
    }

    /// Asks it to end with the image's stop signal, and kills it where it has not after `grace`.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn stop(&self, grace: Duration) -> Result<(), EngineError> {
        match self {
            Self::Docker(container) => container.stop(grace).await,
            Self::Cri(container) => container.stop(grace).await,
        }
    }

    /// Removes it, killed if need be, and its volumes.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn remove(self) -> Result<(), EngineError> {
        match self {
            Self::Docker(container) => container.remove().await,
            Self::Cri(container) => container.remove().await,
        }
    }
}
