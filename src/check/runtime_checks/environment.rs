//! The environment of containers. It is recorded when the container of a test case starts that has
//! nothing but the image's own environment, or else read in a container for this purpose.

use crate::check::expectations::{ContainerSpec, Expectations, RunExpectations, Start};
use crate::harness::{Daemon, HarnessError, LoadedImage};
use crate::vm::instance::Recording;

/// The environment of containers of an image in an engine.
#[derive(Debug)]
pub(in crate::check) enum ContainerEnvironment {
    /// The filter excludes its test case.
    NotWanted,
    /// It is not known yet; it may be recorded.
    Unknown(Option<Recording>),
    /// Its entries.
    Known(Vec<Vec<u8>>),
}

impl ContainerEnvironment {
    /// Whether a container may start that shows it.
    pub(super) fn can_wait(&self) -> bool {
        matches!(self, Self::Unknown(Some(_)))
    }

    /// Takes the environment of `container`, and returns whether it was recorded.
    pub(super) async fn take_recorded(&mut self, daemon: &Daemon, container: &str) -> bool {
        let Self::Unknown(Some(recording)) = self else { return false };
        // If the guest does not answer, the container of its own reports that.
        match daemon.recorded_environment(recording, container).await {
            Ok(Some(entries)) => *self = Self::Known(entries),
            Ok(None) | Err(_) => return false,
        }
        true
    }

    /// Returns the entries; if they are not known, from a container that is started for them.
    pub(super) async fn entries(
        &mut self,
        image: &LoadedImage<'_>,
    ) -> Result<&[Vec<u8>], HarnessError> {
        if let Self::Unknown(recording) = self {
            if let Some(recording) = recording.take() {
                // Otherwise it ends after some minutes.
                let _ = image.daemon().end_recording(recording).await;
            }
            *self = Self::Known(image.container_env().await?);
        }
        match self {
            Self::Known(entries) => Ok(entries),
            _ => Ok(&[]),
        }
    }
}

/// Whether a container of a test case has nothing but the image's environment.
pub(in crate::check) fn is_offered(expected: &Expectations) -> bool {
    // The image that setup commands make has their environment.
    expected.setup.is_empty()
        && (expected.run.iter().any(is_offered_by)
            || expected.service.iter().any(|service| has_only_image_env(&service.container)))
}

/// Whether the container of the command has nothing but the image's environment.
pub(super) fn is_offered_by(run: &RunExpectations) -> bool {
    run.setup.is_empty() && run.start == Start::Succeeds && has_only_image_env(&run.container)
}

/// Whether a container with these settings has nothing but the image's environment: engines derive
/// variables from some of them.
pub(super) fn has_only_image_env(container: &ContainerSpec) -> bool {
    let ContainerSpec { env, user, hostname, tty, working_dir, init, .. } = container;
    let replaced = [user, hostname, working_dir].into_iter().any(Option::is_some);
    env.is_empty() && !replaced && !tty && !init
}
