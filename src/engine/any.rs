//! An engine and its containers, independent of the API that the engine has.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;

use super::any_container::Container;
use super::{Clock, Cri, Docker, EngineError, ImageFacts, RunOptions, RunOutput};

/// Why an engine alone does not mount files of this host.
const MOUNTS: &str = "the engine cannot mount files of this host; start the container through \
                      a LoadedImage, which copies them into the VM";

/// A container engine.
#[derive(Clone, Debug)]
pub enum Engine {
    /// An engine with Docker's API: Docker or Podman.
    Docker(Docker),
    /// A runtime with Kubernetes' CRI: containerd.
    Cri(Cri),
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
                let config = found.config.unwrap_or_default();
                Ok(ImageFacts {
                    id: found.id.unwrap_or_default(),
                    tags: found.repo_tags.unwrap_or_default(),
                    architecture: found.architecture.unwrap_or_default(),
                    env: config.env.unwrap_or_default(),
                    exposed_ports: config.exposed_ports.unwrap_or_default(),
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
    /// If the container cannot be created or started, or runs longer than `limit`
    /// ([`StillRunning`](EngineError::StillRunning)).
    pub async fn run(
        &self,
        image: &str,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        let clock = &Clock::host();
        let (container, result) = self.run_until_exit(image, options, limit, clock).await?;
        container.remove_after(result).await
    }

    /// Runs a container of `image` and waits until it exits, with a limit on the time of `clock`.
    /// The caller removes it, whatever the result.
    ///
    /// # Errors
    /// If the container cannot be created.
    pub(crate) async fn run_until_exit(
        &self,
        image: &str,
        options: &RunOptions,
        limit: Duration,
        clock: &Clock,
    ) -> Result<(Container, Result<RunOutput, EngineError>), EngineError> {
        let container = self.create(image, options).await?;
        let run = async {
            container.start(options).await?;
            container.wait_within(limit, clock, &format!("run {image}")).await
        };
        let result = run.await;
        Ok((container, result))
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
        if !options.mounts.is_empty() {
            return Err(EngineError::Unsupported(MOUNTS));
        }
        match self {
            Self::Docker(docker) => docker.create(image, options).await.map(Container::Docker),
            // Boxed because it is large.
            Self::Cri(cri) => Box::pin(cri.create(image, options)).await.map(Container::Cri),
        }
    }
}
