//! Errors of an engine, and of the connection to it.

use std::path::PathBuf;
use std::time::Duration;

use crate::text;

/// A failed request to an engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Docker's API returned an error, or the connection failed.
    #[error("failed to {}", text::excerpt(.action))]
    Api {
        /// The action that failed, in the infinitive: "load the image".
        action: String,
        /// The cause.
        source: bollard::errors::Error,
    },
    /// The engine created a container but could not start it.
    #[error("failed to start the container: {}", text::excerpt(.0))]
    Start(String),
    /// A container's output exceeds the limit.
    #[error("the container's output is larger than {} MiB", super::run::OUTPUT_MAX >> 20)]
    OutputTooLarge,
    /// CRI returned an error, or the connection failed.
    #[error("failed to {}: {}", text::excerpt(.action), text::excerpt(.problem))]
    Cri {
        /// The action that failed, in the infinitive.
        action: String,
        /// The cause.
        problem: String,
        /// Whether the runtime itself returned the error.
        answered: bool,
    },
    /// A key or certificate of the connection cannot be used.
    #[error("failed to read {}: {}", text::path(path), text::excerpt(.problem))]
    Keys {
        /// The file.
        path: PathBuf,
        /// The cause.
        problem: String,
    },
    /// A context of the `docker` command cannot be used.
    #[error("failed to use Docker's context \"{name}\": {problem}")]
    Context {
        /// The context.
        name: String,
        /// The cause.
        problem: String,
    },
    /// The address of an engine that is reached over SSH.
    #[error(
        "failed to connect to {host}: SSH is not supported; forward the socket with: \
         ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock {}; then use \
         --host unix:///tmp/docker.sock", host.trim_start_matches("ssh://")
    )]
    Ssh {
        /// The address.
        host: String,
    },
    /// An invalid address of an engine.
    #[error("invalid engine address {}; write unix:///PATH or tcp://HOST:PORT", text::quote(.0))]
    Host(String),
    /// The engine rejected an image archive.
    #[error("the engine rejected the image: {}", text::excerpt(.0))]
    Load(String),
    /// The engine did not answer a request in time.
    #[error("failed to {}: timed out after {} s", text::excerpt(.action), limit.as_secs_f32())]
    Timeout {
        /// The action that failed, in the infinitive.
        action: String,
        /// The timeout.
        limit: Duration,
    },
    /// A command did not end in time.
    #[error("failed to {}: still running after {} s", text::excerpt(.action), limit.as_secs_f32())]
    StillRunning {
        /// The action that failed, in the infinitive: "run app:1".
        action: String,
        /// The time limit of the command.
        limit: Duration,
        /// Standard output up to then; empty if the engine does not return it.
        stdout: String,
        /// Standard error up to then; empty if the engine does not return it.
        stderr: String,
    },
    /// The engine stopped answering pings while it handled a request.
    #[error("the engine has not answered pings for {} s", silent_for.as_secs())]
    Unresponsive {
        /// The time without an answer.
        silent_for: Duration,
    },
    /// The engine has no space for an image or a container.
    #[error("the engine's disk is full: {}", text::excerpt(.0))]
    DiskFull(String),
    /// A container has no address: it has exited, or it is not on the engine's network.
    #[error("the container has no address on the engine's network")]
    NoAddress,
    /// The engine's API cannot do what was asked for.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A response lacks required data.
    #[error("{}", text::excerpt(.0))]
    Unexpected(String),
}

impl EngineError {
    /// Whether the engine's API cannot do what was asked for.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported(_))
    }

    /// Whether the environment failed, rather than the user's input.
    pub fn is_environment(&self) -> bool {
        !matches!(
            self,
            Self::Host(_) | Self::Ssh { .. } | Self::Context { .. } | Self::StillRunning { .. }
        )
    }

    /// Converts an error that the engine returned when a container was created or started into
    /// [`Start`](Self::Start): the engine works, the container does not. If the engine itself
    /// failed, the error stays as it is.
    pub(super) fn into_start_error(self) -> Self {
        use bollard::errors::Error::DockerResponseServerError;
        let rejection = match self {
            Self::Api { source: DockerResponseServerError { message, .. }, .. }
                if !is_engine_failure(&message) =>
            {
                Self::Start(message)
            }
            Self::Cri { problem, answered: true, .. } if !is_engine_failure(&problem) => {
                Self::Start(problem)
            }
            other => other,
        };
        rejection.or_disk_full()
    }

    /// Converts a rejection into [`DiskFull`](Self::DiskFull) if the engine had no space: then the
    /// environment is the cause, not the image.
    pub(super) fn or_disk_full(self) -> Self {
        match self {
            Self::Load(problem) | Self::Start(problem)
                if problem.to_lowercase().contains("no space left on device") =>
            {
                Self::DiskFull(problem)
            }
            other => other,
        }
    }
}

/// Parts of messages about an engine whose programs do not reach each other, or not in time:
/// dockerd, containerd and its shims, Podman and conmon.
const ENGINE_FAILURES: [&str; 8] = [
    "context deadline exceeded",
    "ttrpc: closed",
    "ttrpc: client shutting down",
    "transport is closing",
    "transport: error while dialing",
    "error reading from server",
    "shim disconnected",
    "container creation timeout",
];
/// The ends of such messages: gRPC's codes as Docker and [`Cri`](super::Cri) write them.
const ENGINE_FAILURE_CODES: [&str; 4] =
    [": unavailable", "(unavailable)", "(deadlineexceeded)", "(resourceexhausted)"];

/// Whether an engine reports with `message` that it failed itself, rather than that it rejects a
/// container.
fn is_engine_failure(message: &str) -> bool {
    let message = message.trim().to_lowercase();
    ENGINE_FAILURES.iter().any(|part| message.contains(part))
        || ENGINE_FAILURE_CODES.iter().any(|code| message.ends_with(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error for a message with which Docker or Podman answers.
    fn start_error(message: &str) -> EngineError {
        let (status_code, message) = (500, message.to_owned());
        let source = bollard::errors::Error::DockerResponseServerError { status_code, message };
        EngineError::Api { action: "start the container".to_owned(), source }.into_start_error()
    }

    /// The error for a message with which containerd answers over CRI.
    fn cri_start_error(problem: &str) -> EngineError {
        let (action, problem) = ("start the container".to_owned(), problem.to_owned());
        EngineError::Cri { action, problem, answered: true }.into_start_error()
    }

    #[test]
    fn an_engine_whose_parts_do_not_reach_each_other_has_not_rejected_the_container() {
        for message in [
            "failed to create task for container: failed to create shim task: ttrpc: closed",
            "failed to create task for container: failed to create shim task: context deadline \
             exceeded: unknown",
            "connection error: desc = \"transport: Error while dialing: dial unix \
             /run/containerd/containerd.sock: connect: connection refused\": unavailable",
            "error reading from server: EOF: unavailable",
            "transport is closing: unavailable",
            "OCI runtime exec failed: ttrpc: client shutting down: ttrpc: closed: unknown",
            "container creation timeout: internal libpod error",
        ] {
            let error = start_error(message);
            assert!(matches!(error, EngineError::Api { .. }), "{message}: {error}");
        }
        for message in [
            "failed to create containerd task: failed to create shim task: context deadline \
             exceeded: unknown (Unknown)",
            "server is not initialized yet (Unavailable)",
            "failed to start containerd task: context deadline exceeded (DeadlineExceeded)",
            "trying to send message larger than max (ResourceExhausted)",
        ] {
            let error = cri_start_error(message);
            assert!(matches!(error, EngineError::Cri { .. }), "{message}: {error}");
        }
    }

    #[test]
    fn a_container_that_the_engine_rejects_is_the_images_failure() {
        for message in [
            "failed to create task for container: failed to create shim task: OCI runtime create \
             failed: runc create failed: unable to start container process: exec: \"/bin/ttrpc\": \
             stat /bin/ttrpc: no such file or directory: unknown",
            "No such image: unavailable:latest",
            "crun: executable file `/bin/shim` not found: No such file or directory: OCI runtime \
             attempted to invoke a command that was not found",
            "unable to find user unavailable: no matching entries in passwd file",
        ] {
            let error = start_error(message);
            assert!(matches!(error, EngineError::Start(_)), "{message}: {error}");
        }
        let error = cri_start_error(
            "failed to create containerd task: failed to create shim task: OCI runtime create \
             failed: exec: \"app\": executable file not found in $PATH: unknown (Unknown)",
        );
        assert!(matches!(error, EngineError::Start(_)), "{error}");
    }

    #[test]
    fn a_rejection_because_the_engine_has_no_space_is_not_a_rejection_of_the_image() {
        // Forms in which Podman and Docker report it.
        for problem in [
            "payload does not match any of the supported image formats: writing blob: storing blob \
             to file \"/var/tmp/storage1/1\": write /var/tmp/storage1/1: no space left on device",
            "Error processing tar file(exit status 1): write /blob: No space left on device",
        ] {
            let error = EngineError::Load(problem.to_owned()).or_disk_full();
            assert!(matches!(error, EngineError::DiskFull(_)), "{error}");
        }
        let other = EngineError::Load("invalid tar header".to_owned()).or_disk_full();
        assert!(matches!(other, EngineError::Load(_)), "{other}");
    }
}
