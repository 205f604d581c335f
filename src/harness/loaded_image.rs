//! An image in an engine, and assertions about it.

use std::time::Duration;

use super::container::Container;
use super::daemon::Daemon;
use super::error::HarnessError;
use super::exits;
use super::node_commit;
use crate::conditions::ReadyConditions;
use crate::engine::{self, ImageFacts, RunOptions, RunOutput};
use crate::text::value;

/// An image in an engine.
#[derive(Debug)]
pub struct LoadedImage<'d> {
    daemon: &'d Daemon,
    reference: String,
    /// The image whose config containers have, if it is another one.
    made_from: Option<String>,
}

/// The time limit for creating, starting or removing a container.
const CONTAINER_TIMEOUT: Duration = Duration::from_secs(60);

impl<'d> LoadedImage<'d> {
    pub(super) fn new(daemon: &'d Daemon, reference: String) -> Self {
        Self { daemon, reference, made_from: None }
    }

    /// Returns the name and tag under which the image was loaded.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Returns the engine that has the image.
    pub fn daemon(&self) -> &'d Daemon {
        self.daemon
    }

    /// Asserts that the engine lists the image under its name and tag.
    ///
    /// # Errors
    /// If it does not.
    pub async fn assert_tag(&self) -> Result<(), HarnessError> {
        let tags = self.inspect().await?.tags;
        let listed = self.is_listed_in(&tags);
        self.assert(
            "tags that the engine lists",
            value::quote(&self.reference),
            value::format(&tags),
            listed,
        )
    }

    /// Asserts that the image is for `architecture` (as Go names it) according to the engine.
    ///
    /// # Errors
    /// If it is not.
    pub async fn assert_architecture(&self, architecture: &str) -> Result<(), HarnessError> {
        let found = self.inspect().await?.architecture;
        let equal = found == architecture;
        let subject = "architecture that the engine reports";
        self.assert(subject, value::quote(architecture), value::quote(found), equal)
    }

    pub(super) fn assert(
        &self,
        subject: &str,
        expected: String,
        found: String,
        holds: bool,
    ) -> Result<(), HarnessError> {
        if holds {
            return Ok(());
        }
        let (image, subject) = (self.reference.clone(), subject.to_owned());
        Err(HarnessError::Mismatch { image, subject, expected, found })
    }

    /// Whether one of `tags`, as the engine lists them, is the name of this image. Some engines put
    /// a registry before names that have none.
    pub(crate) fn is_listed_in(&self, tags: &[String]) -> bool {
        let family = self.daemon.vm().family();
        tags.iter().any(|tag| family.tag_matches(tag, &self.reference))
    }

    /// Returns the engine's description of the image.
    ///
    /// # Errors
    /// If the engine does not have the image.
    pub async fn inspect(&self) -> Result<ImageFacts, HarnessError> {
        self.daemon.inspect(&self.reference).await
    }

    /// Returns `Env` of the image's config, as the engine reports it.
    ///
    /// # Errors
    /// If the engine does not have the image.
    pub async fn config_env(&self) -> Result<Vec<String>, HarnessError> {
        Ok(self.inspect().await?.env)
    }

    /// Runs a container of the image until it ends, with a time limit, and makes an image from it:
    /// the same config, with the files that the container has left. Returns the container's output
    /// and that image, which has an ID or a random name.
    ///
    /// # Errors
    /// As those of [`run`](Self::run), and if no image can be made from the container.
    pub async fn run_and_commit(
        &self,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<(RunOutput, Self), HarnessError> {
        let mut folders = Vec::new();
        let result = self.run_completed_and_commit(options, limit, &mut folders).await;
        self.daemon.remove_folders_after(&result, &folders).await;
        result
    }

    async fn run_completed_and_commit(
        &self,
        options: &RunOptions,
        limit: Duration,
        folders: &mut Vec<String>,
    ) -> Result<(RunOutput, Self), HarnessError> {
        let options = &self.completed(options, folders).await?;
        let action = format!("run {}", self.reference);
        // The run has a time limit of its own.
        let total_limit = limit + CONTAINER_TIMEOUT + 2 * node_commit::TIMEOUT;
        let Some(docker) = self.daemon.engine().docker() else {
            let run = Box::pin(self.run_and_commit_on_node(options, limit));
            let (output, name) = self.daemon.watched(&action, total_limit, run).await?;
            self.daemon.note_committed(&name);
            return Ok((output, Self { daemon: self.daemon, reference: name, made_from: None }));
        };
        let (image, clock) = (&self.reference, self.daemon.vm().clock());
        let run = Box::pin(async {
            Ok(docker.run_within_and_commit(image, options, limit, clock).await?)
        });
        let ran = self.daemon.watched(&action, total_limit, run).await?;
        self.daemon.note_committed(&ran.image);
        let output = exits::completed(self.daemon, &ran.container, ran.output).await;
        let made_from = self.made_from.clone().or(Some(self.reference.clone()));
        Ok((output, Self { daemon: self.daemon, reference: ran.image, made_from }))
    }

    /// Runs a container over CRI, and returns its output and the name of the image made from it.
    async fn run_and_commit_on_node(
        &self,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<(RunOutput, String), HarnessError> {
        let container = self.daemon.engine().start(&self.reference, options).await?;
        let (clock, action) = (self.daemon.vm().clock(), format!("run {}", self.reference));
        let run = async {
            let output = container.wait_within(limit, clock, &action).await?;
            let output = exits::completed(self.daemon, container.id(), output).await;
            let name = self.daemon.commit_on_node(&self.reference, container.id()).await?;
            Ok((output, name))
        };
        let result = run.await;
        container.remove_after(result).await
    }

    /// Returns `options` with the settings that the image should have, if its config has others,
    /// and with mounts for settings that the engine does not have. Adds the folders of the guest
    /// that only this container has to `folders`.
    async fn completed(
        &self,
        options: &RunOptions,
        folders: &mut Vec<String>,
    ) -> Result<RunOptions, HarnessError> {
        let options = match (&self.made_from, self.daemon.engine().docker()) {
            (Some(image), Some(docker)) => {
                docker.with_config_of(image, &self.reference, options).await?
            }
            _ => options.clone(),
        };
        let options = self.daemon.with_mounts(options, folders).await?;
        self.daemon.with_node_files(options, folders).await
    }

    /// Starts a container of the image.
    ///
    /// # Errors
    /// If it cannot be created or started.
    pub async fn start(&self, options: &RunOptions) -> Result<Container<'d>, HarnessError> {
        let mut folders = Vec::new();
        let started = self.start_completed(options, &mut folders).await;
        if started.is_err() {
            self.daemon.remove_folders_after(&started, &folders).await;
        }
        started.map(|(container, options)| {
            let options = (&options, folders);
            Container::new(self.daemon, self.reference.clone(), container, options)
        })
    }

    async fn start_completed(
        &self,
        options: &RunOptions,
        folders: &mut Vec<String>,
    ) -> Result<(engine::Container, RunOptions), HarnessError> {
        let options = self.completed(options, folders).await?;
        let options = self.daemon.without_networking(options).await?;
        let engine = self.daemon.engine();
        let start = Box::pin(async { Ok(engine.start(&self.reference, &options).await?) });
        let action = format!("start {}", self.reference);
        let container = self.daemon.watched(&action, CONTAINER_TIMEOUT, start).await?;
        Ok((container, options))
    }

    /// Starts a container of the image and waits until it is ready. If it does not become ready, it
    /// is removed.
    ///
    /// # Errors
    /// If it cannot be created or started, ends, or does not become ready in time.
    pub async fn start_ready(
        &self,
        options: &RunOptions,
        conditions: &ReadyConditions,
    ) -> Result<Container<'d>, HarnessError> {
        let container = self.start(options).await?;
        match container.wait_until_ready(conditions).await {
            Ok(()) => Ok(container),
            Err(error) => {
                // The first error says why.
                let _ = container.remove().await;
                Err(error)
            }
        }
    }

    /// Runs a container of the image until it ends, with a time limit, and removes it.
    ///
    /// # Errors
    /// If the container cannot be created or started, prints more than 16 MiB, or does not end in
    /// time. The last is the engine's error [`StillRunning`](engine::EngineError::StillRunning)
    /// in [`HarnessError::Engine`], with the output up to then, if the engine returns it.
    /// [`Container::wait`] has [`HarnessError::StillRunning`], and keeps the container.
    pub async fn run(
        &self,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<RunOutput, HarnessError> {
        let mut folders = Vec::new();
        let ran = self.run_and_remove(options, limit, false, &mut folders).await;
        self.daemon.remove_folders_after(&ran, &folders).await;
        ran.map(|(output, _)| output)
    }

    /// Like [`run`](Self::run), but does not wait until the container is removed: see
    /// [`Daemon::remove_later`]. Returns its ID, too.
    pub(crate) async fn run_and_remove_later(
        &self,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<(RunOutput, String), HarnessError> {
        self.run_and_remove(options, limit, true, &mut Vec::new()).await
    }

    async fn run_and_remove(
        &self,
        options: &RunOptions,
        limit: Duration,
        later: bool,
        folders: &mut Vec<String>,
    ) -> Result<(RunOutput, String), HarnessError> {
        let options = self.completed(options, folders).await?;
        let options = &self.daemon.without_networking(options).await?;
        let (engine, clock) = (self.daemon.engine(), self.daemon.vm().clock());
        let run = Box::pin(async {
            let (container, result) =
                engine.run_until_exit(&self.reference, options, limit, clock).await?;
            let id = container.id().to_owned();
            // One that still runs could disturb others, and names in a pod are used again.
            if later && result.is_ok() && options.pod.is_none() {
                self.daemon.remove_later(container).await;
                return Ok((result?, id));
            }
            Ok((container.remove_after(result).await?, id))
        });
        // The run has a timeout of its own; creating and removing the container take time, too.
        let action = format!("run {}", self.reference);
        let (output, id) = self.daemon.watched(&action, limit + CONTAINER_TIMEOUT, run).await?;
        Ok((exits::completed(self.daemon, &id, output).await, id))
    }
}
