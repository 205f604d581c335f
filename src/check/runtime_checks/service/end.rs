//! The end of a service: noticed at once, expected, or after its stop signal.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{POLL_INTERVAL, Service};
use crate::check::expectations::StopExpectations;
use crate::engine::{Container, Exit, State};
use crate::harness::{HarnessError, value};

/// The default timeout of `stop` in seconds.
const DEFAULT_STOP_TIMEOUT: u64 = 10;
/// The time in which a service must end that ends by itself, in seconds.
const EXIT_TIMEOUT: u64 = 60;
/// The pause after a request for the end of a container that failed, such as after its timeout.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Notices the end of a container at once: the engine is asked once, and answers when it ends.
pub(super) struct EndNotice {
    ended: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl EndNotice {
    pub(super) fn new(container: &Container) -> Self {
        let (container, (sender, ended)) = (container.clone(), watch::channel(false));
        let task = tokio::spawn(async move {
            while container.wait_for_exit().await.is_err() {
                sleep(RETRY_INTERVAL).await;
            }
            sender.send_replace(true);
            // Receivers take the end of the channel for an error.
            sender.closed().await;
        });
        Self { ended, task }
    }

    /// Awaits `operation`, or returns `None` as soon as the container ends.
    pub(super) async fn or<T>(&self, operation: impl Future<Output = T>) -> Option<T> {
        let mut ended = self.ended.clone();
        tokio::select! {
            biased;
            result = operation => Some(result),
            _ = ended.wait_for(|ended| *ended) => None,
        }
    }
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service<'_> {
    pub(super) async fn check_stop(
        &mut self,
        expected: &StopExpectations,
    ) -> Result<(), HarnessError> {
        let seconds = expected.timeout.unwrap_or(DEFAULT_STOP_TIMEOUT);
        let begin = Instant::now();
        self.container.stop(Duration::from_secs(seconds)).await?;
        let (duration, output) = (begin.elapsed(), self.container.wait().await?);
        let killed = duration >= Duration::from_secs(seconds) && output.signal() == Some(9);
        let found = if killed {
            "it was killed".to_owned()
        } else {
            format!("{:.1} s", duration.as_secs_f32())
        };
        self.checks.record("stop", format!("within {seconds} s"), found, !killed);
        if let Some(code) = expected.exit_code {
            self.checks.expect_equal("exit code after the stop", &code, &output.code);
        }
        Ok(())
    }

    /// Waits until the service ends by itself, and compares its exit code with `expected`.
    pub(super) async fn check_exit(&mut self, expected: i64) -> Result<(), HarnessError> {
        let deadline = Instant::now() + Duration::from_secs(EXIT_TIMEOUT);
        let mut state = self.container.state().await?;
        while state.running && Instant::now() < deadline {
            sleep(POLL_INTERVAL).await;
            state = self.container.state().await?;
        }
        let wanted = format!("exit code {expected} within {EXIT_TIMEOUT} s");
        let passed = state.exit.as_ref().is_some_and(|exit| exit.code == expected);
        let found = match (state.running, passed, &state.exit) {
            (true, ..) => "it is still running".to_owned(),
            (false, true, Some(exit)) => exit.to_string(),
            _ => self.describe_end(&state).await,
        };
        self.checks.record("service", wanted, found, passed);
        Ok(())
    }

    /// Whether the service has ended, which is recorded as a mismatch.
    pub(super) async fn has_ended(&mut self, expected: &str) -> Result<bool, HarnessError> {
        let state = self.container.state().await?;
        if state.running {
            return Ok(false);
        }
        let found = self.describe_end(&state).await;
        self.checks.record("service", expected, found, false);
        Ok(true)
    }

    /// Describes how the command ended, with the end of its output.
    pub(super) async fn describe_end(&self, state: &State) -> String {
        let exit = state.exit.as_ref().map(Exit::to_string);
        let mut text = format!("its command ended with {}", exit.as_deref().unwrap_or("no code"));
        let Ok((stdout, stderr)) = self.container.logs().await else { return text };
        for (name, output) in [("standard error", stderr), ("standard output", stdout)] {
            let output = match output.is_empty() {
                true => "nothing".to_owned(),
                false => value::excerpt_of_end(&output),
            };
            text += &format!("; {name} {output}");
        }
        text
    }
}
