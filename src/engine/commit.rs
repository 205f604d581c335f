//! Images that are made from containers: a container runs, and its files become a new image.

use std::time::Duration;

use bollard::models::ContainerConfig;
use bollard::query_parameters::CommitContainerOptionsBuilder;

use super::docker::api;
use super::{Clock, Container, Docker, EngineError, RunOptions, RunOutput};
use crate::image::DEFAULT_PATH;

/// The time limit for making an image.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(300);
/// Variables that Podman adds to containers whose image and options do not set them. With a value:
/// those that it adds when it creates a container, and therefore commits.
const ADDED_BY_PODMAN: [(&str, Option<&str>); 5] = [
    ("PATH", Some(DEFAULT_PATH)),
    ("TERM", Some("xterm")),
    ("container", Some("podman")),
    ("HOME", None),
    ("HOSTNAME", None),
];

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

    /// Returns options that run on `committed`, an image that was made from a container of `image`,
    /// what `options` run on `image`: where `options` do not set them, command, user, working
    /// directory and variables are those of `image`. The engine took them over from the container.
    ///
    /// Podman cannot remove variables, so those that only the container had are empty there, unless
    /// Podman adds them to every container: `PATH`, `TERM` and `container` have Podman's values,
    /// `HOME` and `HOSTNAME` keep those that the container's options set. On Docker, a container
    /// has its hostname in `HOSTNAME`; if the options of that container set another one, and
    /// `options` no hostname, it is the beginning of the committed image's ID.
    ///
    /// # Errors
    /// If the engine does not have the images.
    pub async fn with_config_of(
        &self,
        image: &str,
        committed: &str,
        options: &RunOptions,
    ) -> Result<RunOptions, EngineError> {
        let config = self.inspect(image).await?.config.unwrap_or_default();
        let of_container = self.inspect(committed).await?.config.unwrap_or_default();
        // As engines do: an entrypoint that is replaced makes the image's command irrelevant.
        let image_command = if options.entrypoint.is_some() { None } else { config.cmd };
        let mut words = options.entrypoint.clone().or(config.entrypoint).unwrap_or_default();
        words.extend(options.command.clone().or(image_command).unwrap_or_default());
        let mut words = words.into_iter();
        let (is_podman, mut settings) = (self.is_podman().await?, options.settings.clone());
        let hostname = settings.hostname.clone().unwrap_or_else(|| hostname_of(committed));
        let mut env = restored_env(config.env, of_container.env, |entry| match is_podman {
            true => undo_on_podman(entry),
            false => Some(undo_on_docker(entry, settings.tty, &hostname)),
        });
        if !is_podman && env.iter().any(|entry| *entry == format!("HOSTNAME={hostname}")) {
            settings.hostname = Some(hostname);
        }
        env.extend(options.env.iter().cloned());
        let (user, folder) = (options.user.clone(), options.working_dir.clone());
        let user = user.or_else(|| restored(config.user, of_container.user, "0"));
        let folder = folder.or_else(|| restored(config.working_dir, of_container.working_dir, "/"));
        Ok(RunOptions {
            entrypoint: Some(words.next().into_iter().collect()),
            command: Some(words.collect()),
            env,
            user,
            working_dir: folder,
            settings,
            ..options.clone()
        })
    }
}

/// Returns the value that a container needs to have the one of the image, if that of the container
/// before was another one. `default` is the value of images that have none.
fn restored(
    of_image: Option<String>,
    of_container: Option<String>,
    default: &str,
) -> Option<String> {
    let of_image = of_image.unwrap_or_default();
    let is_changed = of_image != of_container.unwrap_or_default();
    is_changed.then(|| if of_image.is_empty() { default.to_owned() } else { of_image })
}

/// Returns the entries that give a container of an image with the variables `found` those of
/// `wanted`. `undo` makes the entry that undoes one which is not wanted, if it needs one.
fn restored_env(
    wanted: Option<Vec<String>>,
    found: Option<Vec<String>>,
    undo: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let (wanted, found) = (wanted.unwrap_or_default(), found.unwrap_or_default());
    let is_wanted = |entry: &str| wanted.iter().any(|other| name_of(other) == name_of(entry));
    let changed = wanted.iter().filter(|entry| !found.contains(entry)).cloned();
    let added = found.iter().filter(|entry| !is_wanted(entry));
    changed.chain(added.filter_map(|entry| undo(entry))).collect()
}

/// A hostname as Docker makes it of a container's ID, of the ID of an image: that of a container is
/// not known before it is created.
fn hostname_of(image: &str) -> String {
    image.trim_start_matches("sha256:").chars().take(12).collect()
}

fn name_of(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

/// A name without a value removes the variable, even one that Docker would add: those get its
/// values. `hostname` is that of the container.
fn undo_on_docker(entry: &str, tty: bool, hostname: &str) -> String {
    match name_of(entry) {
        "PATH" => format!("PATH={DEFAULT_PATH}"),
        "TERM" if tty => "TERM=xterm".to_owned(),
        "HOSTNAME" => format!("HOSTNAME={hostname}"),
        name => name.to_owned(),
    }
}

/// Podman cannot remove a variable. An empty one must not replace one that it would add.
fn undo_on_podman(entry: &str) -> Option<String> {
    let name = name_of(entry);
    match ADDED_BY_PODMAN.iter().find(|(added, _)| *added == name) {
        None => Some(format!("{name}=")),
        Some((_, None)) => None,
        Some((_, Some(value))) => {
            Some(format!("{name}={value}")).filter(|default| default != entry)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_user_has_root_again() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(restored(None, text("7"), "0"), text("0"));
        assert_eq!(restored(text("7:8"), text("0"), "0"), text("7:8"));
        assert_eq!(restored(text(""), None, "0"), None);
    }

    #[test]
    fn variables_of_a_container_are_those_of_the_image_again() {
        let list = |entries: &[&str]| Some(entries.iter().map(ToString::to_string).collect());
        let restored = |undo: fn(&str) -> Option<String>| {
            let found = list(&["PATH=/setup", "A=b", "SECRET=x=y", "EMPTY="]);
            restored_env(list(&["PATH=/bin", "A=b", "GONE=1"]), found, undo)
        };
        let on_docker = restored(|entry| Some(undo_on_docker(entry, true, "app")));
        assert_eq!(on_docker, ["PATH=/bin", "GONE=1", "SECRET", "EMPTY"]);
        assert_eq!(restored(undo_on_podman), ["PATH=/bin", "GONE=1", "SECRET=", "EMPTY="]);
        assert!(restored_env(None, None, undo_on_podman).is_empty());
    }

    #[test]
    fn variables_that_docker_adds_are_not_removed() {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let undo = |entry: &str, tty: bool| undo_on_docker(entry, tty, "0123456789ab");
        assert_eq!(undo("PATH=/setup", false), path);
        assert_eq!(undo("TERM=dumb", true), "TERM=xterm");
        assert_eq!(undo("TERM=dumb", false), "TERM");
        assert_eq!(undo("HOSTNAME=x", false), "HOSTNAME=0123456789ab");
        assert_eq!(hostname_of("sha256:0123456789abcdef"), "0123456789ab");
    }

    #[test]
    fn variables_that_podman_adds_are_never_empty() {
        let found = |entries: &[&str]| Some(entries.iter().map(ToString::to_string).collect());
        let restored = |entries: &[&str]| restored_env(None, found(entries), undo_on_podman);
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert!(restored(&[path, "TERM=xterm", "container=podman"]).is_empty());
        assert_eq!(restored(&["PATH=/setup", "TERM=dumb"]), [path, "TERM=xterm"]);
        assert!(restored(&["HOME=/setup", "HOSTNAME=setup"]).is_empty());
    }
}
