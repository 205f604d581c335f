//! What an engine answers when it does not do what it is asked.

use std::path::PathBuf;
use std::time::Duration;

/// A failure of an engine or of the way to it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The API answered with an error, or not at all.
    #[error("{doing} failed")]
    Api {
        /// What was asked.
        doing: String,
        /// The answer.
        source: bollard::errors::Error,
    },
    /// The engine made a container and could not start it.
    #[error("the container does not start: {0}")]
    Start(String),
    /// A container printed so much that it was not read to its end.
    #[error("the container printed more than {} MiB", super::run::OUTPUT_MAX >> 20)]
    Output,
    /// The container runtime interface answered with an error, or not at all.
    #[error("{doing} failed: {problem}")]
    Cri {
        /// What was asked.
        doing: String,
        /// The answer.
        problem: String,
        /// Whether the runtime itself gave it.
        answered: bool,
    },
    /// The keys to the API cannot be used.
    #[error("cannot use {path}: {problem}", path = path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// What was given as an engine's place is none.
    #[error("{0:?} is no place of an engine's; write unix:///PATH or tcp://HOST:PORT")]
    Host(String),
    /// The engine read an image and refused it.
    #[error("the engine did not load the image: {0}")]
    Load(String),
    /// An answer took too long.
    #[error("{doing} took longer than {} s", limit.as_secs_f32())]
    Deadline {
        /// What was asked.
        doing: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The engine stopped answering.
    #[error("the engine has not answered /_ping for {} s", for_at_least.as_secs())]
    Silent {
        /// For how long, at least.
        for_at_least: Duration,
    },
    /// The engine's answer lacks what every engine says.
    #[error("{0}")]
    Unexpected(String),
}

impl EngineError {
    /// Whether the engine or the way to it failed, rather than what was asked for.
    pub fn is_environment(&self) -> bool {
        !matches!(self, Self::Host(_))
    }

    /// The same of a container's start, if that failed for a reason of the container's: the engine is fine and says no.
    pub(super) fn of_start(self) -> Self {
        use bollard::errors::Error::DockerResponseServerError;
        match self {
            Self::Api { source: DockerResponseServerError { message, .. }, .. } => {
                Self::Start(message)
            }
            Self::Cri { problem, answered: true, .. } => Self::Start(problem),
            other => other,
        }
    }
}
