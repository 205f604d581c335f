//! The end of a service: unexpected, expected, or after its stop signal.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Service;
use crate::check::expectations::{StopExpectations, Timeout};
use crate::engine::{EngineError, RunOptions, RunOutput, Settings};
use crate::harness::{HarnessError, POLL_INTERVAL, describe_end, exits};
use crate::linux::signals;

/// The default timeout of `stop`.
const DEFAULT_STOP_TIMEOUT: Timeout = Timeout::from_secs(10);
/// The time limit for the exit of a service that the engine has stopped.
const AFTER_STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// The action that failed after that time.
const ACTION: &str = "wait for the exit of the stopped service";
/// The time in which a service must end that ends by itself.
const EXIT_TIMEOUT: Timeout = Timeout::from_secs(60);

/// A service that was stopped.
struct Stopped {
    output: RunOutput,
    /// The time until it ended, or was killed.
    duration: Duration,
    /// Whether it did not end in time.
    is_killed: bool,
}

fn timeout_of(expected: &StopExpectations) -> Timeout {
    expected.timeout.unwrap_or(DEFAULT_STOP_TIMEOUT)
}

/// The likely reasons why `signal` did not end a container in time, and what to do. `can_init` says
/// whether the engine can start an init process in the container.
fn of_survivor(signal: &str, can_init: bool) -> String {
    let init = if can_init { ", write init = true for the container" } else { "" };
    format!(
        "process 1 needs more time after {signal}, or has no handler for it: without one, Linux \
         ignores signals to process 1; handle the signal{init}, or raise the timeout of stop"
    )
}

impl Service<'_> {
    /// Stops the service, and compares its end, exit code and log with the expected ones.
    pub(super) async fn check_stop(
        &mut self,
        expected: &StopExpectations,
    ) -> Result<(), HarnessError> {
        let Stopped { output, duration, is_killed } = self.stop(expected).await?;
        let found = match is_killed {
            true => "it was killed".to_owned(),
            false => format!("{:.1} s", duration.as_secs_f32()),
        };
        let signal = expected.signal.as_deref().unwrap_or("the stop signal");
        let wanted = format!("ends within {} of {signal}", timeout_of(expected));
        self.checks.record("stop", wanted, found, !is_killed);
        if is_killed && !self.expected.container.init {
            self.checks.hint(vec![of_survivor(signal, self.can_init())]);
        }
        if let Some(code) = expected.exit_code {
            let codes = [code, output.code].map(signals::describe_exit_code);
            let ([wanted, found], passed) = (codes, code == output.code);
            self.checks.record("exit code after the stop", wanted, found, passed);
        }
        if let Some(expected) = &expected.log {
            let line_ends = self.line_ends();
            let log = line_ends.restore(output.stdout + &output.stderr);
            let (subject, returns) = ("log after the stop", line_ends.carriage_returns());
            self.checks.record_output(subject, expected, &log, returns);
        }
        Ok(())
    }

    /// Stops the service by the signal of `expected`, or lets the engine do it.
    async fn stop(&self, expected: &StopExpectations) -> Result<Stopped, HarnessError> {
        let (begin, limit) = (Instant::now(), timeout_of(expected).duration());
        let ended = match &expected.signal {
            Some(signal) => self.ends_by(signal, limit).await?,
            None => self.container.stop(limit).await.map(|()| true)?,
        };
        let (duration, daemon) = (begin.elapsed(), self.image.daemon());
        let exit = Box::pin(exits::wait(daemon, self.container));
        let late = || EngineError::Timeout { action: ACTION.to_owned(), limit: AFTER_STOP_TIMEOUT };
        let output =
            daemon.vm().clock().timeout(AFTER_STOP_TIMEOUT, exit).await.ok_or_else(late)??;
        let by_engine = expected.signal.is_none() && duration >= limit;
        let is_killed = !ended || by_engine && output.signal() == Some(9);
        Ok(Stopped { output, duration, is_killed })
    }

    /// Whether the engine can start an init process in the container.
    fn can_init(&self) -> bool {
        let settings = Settings { init: true, ..Settings::default() };
        let options = RunOptions { settings, ..RunOptions::default() };
        self.image.daemon().engine().unsupported(&options).is_none()
    }

    /// Sends `signal`, and returns whether the service ends within `limit`. If not, it is killed:
    /// to stop it would send the stop signal of the image first, which it may obey.
    async fn ends_by(&self, signal: &str, limit: Duration) -> Result<bool, HarnessError> {
        self.container.signal(signal).await?;
        if self.end.or(sleep(limit)).await.is_none() || !self.container.state().await?.running {
            return Ok(true);
        }
        match self.container.signal("SIGKILL").await {
            // It may have ended a moment ago.
            Err(error) if self.container.state().await?.running => Err(error.into()),
            _ => Ok(false),
        }
    }

    /// Waits until the service ends by itself, and compares its exit code with `expected`.
    pub(super) async fn check_exit(&mut self, expected: i64) -> Result<(), HarnessError> {
        let deadline = Instant::now() + EXIT_TIMEOUT.duration();
        let mut state = exits::state(self.image.daemon(), self.container).await?;
        while state.running && Instant::now() < deadline {
            sleep(POLL_INTERVAL).await;
            state = exits::state(self.image.daemon(), self.container).await?;
        }
        let code = signals::describe_exit_code(expected);
        let wanted = format!("exit code {code} within {EXIT_TIMEOUT}");
        let passed = state.exit.as_ref().is_some_and(|exit| exit.code == expected);
        let found = match (state.running, passed, &state.exit) {
            (true, ..) => "it is still running".to_owned(),
            (false, true, Some(exit)) => exit.to_string(),
            _ => describe_end(self.container, &state).await,
        };
        self.checks.record("service", wanted, found, passed);
        Ok(())
    }

    /// Whether the service has ended, which is recorded as a mismatch.
    pub(super) async fn has_ended(&mut self, expected: &str) -> Result<bool, HarnessError> {
        let state = exits::state(self.image.daemon(), self.container).await?;
        if state.running {
            return Ok(false);
        }
        let found = describe_end(self.container, &state).await;
        self.checks.record("service", expected, found, false);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_killed_may_need_more_time_or_a_handler() {
        let hint = of_survivor("SIGTERM", true);
        for part in ["more time after SIGTERM", "no handler", "init = true", "timeout of stop"] {
            assert!(hint.contains(part), "{hint}");
        }
        // A pod has no such process.
        assert!(!of_survivor("SIGTERM", false).contains("init"));
    }
}
