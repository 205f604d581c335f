//! Images that are made from containers: a container runs, and its files become a new image.

use std::time::Duration;

use bollard::models::ContainerConfig;
use bollard::query_parameters::CommitContainerOptionsBuilder;

use super::docker::api;
use super::{Clock, Container, Docker, EngineError, RunOptions, RunOutput};

/// The time limit for making an image.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(300);

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
    /// If the container cannot be created or started, runs longer than `limit`
    /// ([`StillRunning`](EngineError::StillRunning)), or cannot be committed.
    pub async fn run_and_commit(
        &self,
        image: &str,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<Committed, EngineError> {
        self.run_within_and_commit(image, options, limit, &Clock::host()).await
    }

    /// Like [`run_and_commit`](Self::run_and_commit), with a limit on the time of `clock`.
    pub(crate) async fn run_within_and_commit(
        &self,
        image: &str,
        options: &RunOptions,
        limit: Duration,
        clock: &Clock,
    ) -> Result<Committed, EngineError> {
        let container = Container::Docker(self.create(image, options).await?);
        let run = async {
            container.start(options).await?;
            let output = container.wait_within(limit, clock, &format!("run {image}")).await?;
            let commit = CommitContainerOptionsBuilder::default().container(container.id()).build();
            let engine = self.api().clone().with_timeout(COMMIT_TIMEOUT);
            let committed = engine.commit_container(commit, ContainerConfig::default()).await;
            let image = committed.map_err(api("commit the container"))?.id;
            Ok(Committed { output, container: container.id().to_owned(), image })
        };
        let result = run.await;
        container.remove_after(result).await
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
