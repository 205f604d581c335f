//! Waits until an engine is usable, one condition after the other, and says which one was not met.
//!
//! A socket that exists, a port that accepts and a unit that is active prove nothing: each has been seen with
//! a daemon that never answered. Only answers count, and each try is a new connection with a limit of its
//! own, because a connection made too early may never be answered.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::{Docker, EngineError, Timeline};

/// What must be true of a machine, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The daemon answers `/_ping` with `OK`.
    Ping,
    /// The daemon answers `/version`, and an API version is agreed on.
    Version,
}

impl Condition {
    /// What is noted when it is met.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ping => "/_ping says OK",
            Self::Version => "/version answers",
        }
    }
}

/// A daemon that did not get ready.
#[derive(Debug, thiserror::Error)]
#[error(
    "not ready after {} s: {} was never met; the last try said: {last}\nwhat was met:\n{timeline}",
    limit.as_secs_f32(), condition.name()
)]
pub struct NotReady {
    /// What was not met.
    pub condition: Condition,
    /// How long was waited.
    pub limit: Duration,
    /// What the last try said.
    pub last: String,
    /// What was met, and when.
    pub timeline: Timeline,
}

/// How long one try may take.
const TRY: Duration = Duration::from_secs(2);
/// Between tries.
const PAUSE: Duration = Duration::from_millis(25);

/// Waits for `limit` at most until the daemon that `connect` connects to is ready, and gives it with its API
/// version agreed on. `alive` is asked before each try, and its error ends the wait at once.
///
/// # Errors
/// [`NotReady`] at the deadline; the error of `alive`.
pub async fn wait<E: From<NotReady>>(
    connect: impl Fn() -> Result<Docker, EngineError>,
    alive: impl Fn() -> Result<(), E>,
    timeline: &mut Timeline,
    limit: Duration,
) -> Result<Docker, E> {
    let deadline = Instant::now() + limit;
    let mut condition = Condition::Ping;
    loop {
        alive()?;
        let last = match timeout(TRY, attempt(&connect, condition)).await {
            Ok(Ok(ready)) => {
                timeline.note(condition.name());
                match condition {
                    Condition::Ping => condition = Condition::Version,
                    Condition::Version => return Ok(ready),
                }
                continue;
            }
            Ok(Err(error)) => told(&error),
            Err(_) => format!("no answer within {} s", TRY.as_secs()),
        };
        if Instant::now() >= deadline {
            return Err(NotReady { condition, limit, last, timeline: timeline.clone() }.into());
        }
        sleep(PAUSE).await;
    }
}

async fn attempt(
    connect: &impl Fn() -> Result<Docker, EngineError>,
    condition: Condition,
) -> Result<Docker, EngineError> {
    let docker = connect()?;
    match condition {
        Condition::Ping => match docker.ping().await?.as_str() {
            "OK" => Ok(docker),
            other => Err(EngineError::Unexpected(format!("/_ping says {other:?}"))),
        },
        Condition::Version => {
            let docker = docker.negotiated().await?;
            docker.version().await?;
            Ok(docker)
        }
    }
}

/// An error with its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
