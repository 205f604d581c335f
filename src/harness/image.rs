//! An image that was loaded, and what it should be.

use std::time::Duration;

use super::{Daemon, HarnessError};
use crate::engine::{Container, EngineError, ImageFacts, RunOptions, RunOutput};
use crate::image::Env;

/// An image in a daemon.
#[derive(Debug)]
pub struct LoadedImage<'d> {
    daemon: &'d Daemon,
    reference: String,
}

/// How long a look into a container may take.
const LOOK: Duration = Duration::from_secs(60);

/// How long making, starting or removing a container may take.
const AROUND: Duration = Duration::from_secs(60);

impl<'d> LoadedImage<'d> {
    pub(super) fn new(daemon: &'d Daemon, reference: String) -> Self {
        Self { daemon, reference }
    }

    /// The name and tag that it was loaded under.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    fn check(
        &self,
        what: &str,
        expected: &str,
        found: String,
        fine: bool,
    ) -> Result<(), HarnessError> {
        if fine {
            return Ok(());
        }
        let (what, expected) = (what.to_owned(), expected.to_owned());
        Err(HarnessError::Mismatch { image: self.reference.clone(), what, expected, found })
    }

    /// The daemon lists the image under its name and tag.
    ///
    /// # Errors
    /// When it does not.
    pub async fn assert_tag(&self) -> Result<(), HarnessError> {
        let tags = self.daemon.engine().inspect(&self.reference).await?.tags;
        self.check(
            "the tags that the daemon lists",
            &self.reference,
            tags.join(" "),
            tags.iter().any(|tag| self.daemon.vm().family().tag_matches(tag, &self.reference)),
        )
    }

    /// The daemon takes the image to be for `architecture` (GOARCH).
    ///
    /// # Errors
    /// When it does not.
    pub async fn assert_architecture(&self, architecture: &str) -> Result<(), HarnessError> {
        let found = self.daemon.engine().inspect(&self.reference).await?.architecture;
        let fine = found == architecture;
        self.check("the architecture that the daemon sees", architecture, found, fine)
    }

    /// The config has each of the `expected` entries; it has no name twice; and the process of a container
    /// sees exactly the config's entries, besides what the daemon adds under names that the config lacks.
    ///
    /// # Errors
    /// When any of that is not so.
    pub async fn assert_env(&self, expected: &[&str]) -> Result<(), HarnessError> {
        let config = self.config_env().await?;
        let container = self.container_env().await?;
        let side_by_side = || format!("config {config:?}, container {container:?}");
        for entry in expected {
            let fine = config.iter().any(|found| found == entry)
                && container.iter().any(|found| found == entry);
            self.check(
                "an environment entry, in config and container",
                entry,
                side_by_side(),
                fine,
            )?;
        }
        let unique = |entries: &[String]| {
            Env::parse(entries).is_ok_and(|env| env.to_entries().len() == entries.len())
        };
        let fine = unique(&config) && unique(&container);
        self.check(
            "the environment's names",
            "each once, in config and container",
            side_by_side(),
            fine,
        )?;
        let fine = config.iter().all(|entry| container.contains(entry));
        self.check(
            "the environment of a container",
            &format!("{config:?}"),
            format!("{container:?}"),
            fine,
        )
    }

    /// The `Env` of the image's config, as the daemon tells it.
    ///
    /// # Errors
    /// When the daemon does not have the image.
    pub async fn config_env(&self) -> Result<Vec<String>, HarnessError> {
        Ok(self.inspect().await?.env)
    }

    /// The environment that the process of a container sees. The image needs no program for that: the
    /// guest's own is put into the container.
    ///
    /// # Errors
    /// When no container of the image runs.
    pub async fn container_env(&self) -> Result<Vec<String>, HarnessError> {
        let env = RunOptions { bare: true, ..RunOptions::tool("/bin/busybox", &["env"]) };
        let output = self.run(&env, LOOK).await?;
        if output.code == 0 {
            return Ok(output.stdout.lines().map(str::to_owned).collect());
        }
        let problem = format!("env in a container ended with {}: {}", output.code, output.stderr);
        Err(EngineError::Unexpected(problem).into())
    }

    /// The daemon that holds the image.
    pub fn daemon(&self) -> &'d Daemon {
        self.daemon
    }

    /// What the daemon knows of it.
    ///
    /// # Errors
    /// When the daemon does not have the image.
    pub async fn inspect(&self) -> Result<ImageFacts, HarnessError> {
        Ok(self.daemon.engine().inspect(&self.reference).await?)
    }

    /// Starts a container of the image.
    ///
    /// # Errors
    /// When it cannot be made or started.
    pub async fn start(&self, options: &RunOptions) -> Result<Container, HarnessError> {
        let start = async { Ok(self.daemon.engine().start(&self.reference, options).await?) };
        self.daemon.watched(&format!("start {}", self.reference), AROUND, start).await
    }

    /// Runs a container of the image, for `limit` at most.
    ///
    /// # Errors
    /// When the container cannot be made or started, or does not end in time.
    pub async fn run(
        &self,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<RunOutput, HarnessError> {
        let run = async { Ok(self.daemon.engine().run(&self.reference, options, limit).await?) };
        // The run has its own deadline; making and removing its container come on top.
        self.daemon.watched(&format!("run {}", self.reference), limit + AROUND, run).await
    }
}
