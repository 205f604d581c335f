//! Images that are made from containers: a container runs, and its files become a new image.

use std::time::Duration;

use bollard::models::ContainerConfig;
use bollard::query_parameters::CommitContainerOptionsBuilder;
use tokio::time::timeout;

use super::docker::api;
use super::{Docker, EngineError, RunOptions, RunOutput};

/// A container that ran until it exited, and the image made from it. The container is removed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The container's exit code and output.
    pub output: RunOutput,
    /// The container's ID.
    pub container: String,
    /// The image's ID.
    pub image: String,
}

impl Docker {
    /// Runs a container of `image` until it exits, and commits its files as a new image without a
    /// name. The new image's config is the container's.
    ///
    /// # Errors
    /// If the container cannot be created or started, runs longer than `limit`, or cannot be
    /// committed.
    pub async fn run_and_commit(
        &self,
        image: &str,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<Committed, EngineError> {
        let container = self.create(image, options).await?;
        let run = async {
            container.start(options.stdin.as_deref()).await?;
            let output = container.wait().await?;
            let commit = CommitContainerOptionsBuilder::default().container(container.id()).build();
            let committed = self.api().commit_container(commit, ContainerConfig::default()).await;
            let image = committed.map_err(api("commit the container"))?.id;
            Ok(Committed { output, container: container.id().to_owned(), image })
        };
        let result = match timeout(limit, run).await {
            Ok(result) => result,
            Err(_) => Err(EngineError::Timeout { action: format!("run {image}"), limit }),
        };
        let removed = container.remove().await;
        let committed = result?;
        removed.map(|()| committed)
    }

    /// Returns options that run on another image what `options` run on `image`: entrypoint and
    /// command are taken from `image` where `options` do not set them.
    ///
    /// # Errors
    /// If the engine does not have the image.
    pub async fn with_command_of(
        &self,
        image: &str,
        options: &RunOptions,
    ) -> Result<RunOptions, EngineError> {
        let config = self.inspect(image).await?.config.unwrap_or_default();
        // As engines do: an entrypoint that is replaced makes the image's command irrelevant.
        let image_command = if options.entrypoint.is_some() { None } else { config.cmd };
        let mut words = options.entrypoint.clone().or(config.entrypoint).unwrap_or_default();
        words.extend(options.command.clone().or(image_command).unwrap_or_default());
        let mut words = words.into_iter();
        let entrypoint = Some(words.next().into_iter().collect());
        Ok(RunOptions { entrypoint, command: Some(words.collect()), ..options.clone() })
    }
}
