//! Checks of a service whose start must fail: it ends before it is ready, or the engine refuses it.

use tokio::time::sleep;

use super::Service;
use crate::check::expectations::{ReadyConditions, ServiceExpectations, Timeout};
use crate::check::verdict::Checks;
use crate::engine::Exit;
use crate::harness::{DEFAULT_READY_TIMEOUT, HarnessError, exits};
use crate::linux::signals;

/// The expected start.
const FAILS: &str = "it fails";

impl Service<'_> {
    /// Compares the message of an engine that refused to start the service with `expected`.
    pub(super) fn check_refusal(expected: &ServiceExpectations, problem: &str) -> Checks {
        let mut checks = Checks::default();
        let found = format!("the engine refuses it: {problem}");
        checks.record("start", FAILS, found, expected.exit_code.is_none());
        if let Some(text) = &expected.log {
            checks.record_text("message of the engine", text, Some(problem));
        }
        checks
    }

    /// Compares the end of a service that was started with the expected one.
    pub(super) async fn check_failing_start(&mut self) -> Result<(), HarnessError> {
        let started = self.starts().await?;
        let ended = matches!(started, Started::Ended);
        let state = exits::state(self.image.daemon(), self.container).await?;
        let exit = state.exit.as_ref().filter(|_| ended);
        let expected_code = self.expected.exit_code;
        let failed = exit.is_some_and(|exit| exit.code != 0 || expected_code == Some(0));
        let found = match (started, exit) {
            (_, Some(exit)) => exit.to_string(),
            (Started::Ended, None) => "it ended".to_owned(),
            (Started::Ready, None) => "it became ready".to_owned(),
            (Started::StillRunning(timeout), None) => self.describe_late_end(timeout).await?,
        };
        self.checks.record("start", FAILS, found, failed);
        if let (Some(code), Some(exit)) = (expected_code, exit) {
            let [wanted, found] = [code, exit.code].map(signals::describe_exit_code);
            self.checks.record("exit code", wanted, found, code == exit.code);
        }
        self.check_log().await
    }

    /// Describes a service that had not ended within `timeout`. It gets another moment: that it
    /// fails too late is another mistake than that it does not fail.
    async fn describe_late_end(&mut self, timeout: Timeout) -> Result<String, HarnessError> {
        let _ = self.end.or(sleep(self.settle_time)).await;
        let state = exits::state(self.image.daemon(), self.container).await?;
        Ok(still_running(timeout, state.exit.as_ref()))
    }

    /// Waits until the service is ready or ends. Without conditions, it is never ready.
    async fn starts(&mut self) -> Result<Started, HarnessError> {
        let ready = &self.expected.ready;
        let timeout = ready.timeout.unwrap_or(DEFAULT_READY_TIMEOUT);
        if has_conditions(ready) {
            let is_ready = self.becomes_ready(ready).await?;
            // That it did not become ready is what is expected.
            self.checks = Checks::default();
            if is_ready {
                return Ok(Started::Ready);
            }
        } else {
            let _ = self.end.or(sleep(timeout.duration())).await;
        }
        Ok(match self.container.state().await?.running {
            true => Started::StillRunning(timeout),
            false => Started::Ended,
        })
    }
}

/// The start of a service.
enum Started {
    Ready,
    Ended,
    /// It was neither ready nor ended within this time.
    StillRunning(Timeout),
}

/// Describes a service that had not ended within `timeout`, and how it ended later.
fn still_running(timeout: Timeout, late: Option<&Exit>) -> String {
    let late = late.map(|exit| format!("; it ended too late, with {exit}")).unwrap_or_default();
    format!("still running after {timeout}{late}")
}

fn has_conditions(ready: &ReadyConditions) -> bool {
    let ReadyConditions { port, log, http, exec, healthy, timeout: _ } = ready;
    port.is_some() || log.is_some() || http.is_some() || exec.is_some() || *healthy == Some(true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_service_that_ended_after_its_timeout_is_described_with_both_times() {
        let timeout = Timeout::from_secs(60);
        assert_eq!(still_running(timeout, None), "still running after 60 s");
        let exit = Exit { code: 1, out_of_memory: None, duration: Some(Duration::from_secs(61)) };
        let late = still_running(timeout, Some(&exit));
        assert_eq!(
            late,
            "still running after 60 s; it ended too late, with exit code 1 after 61.0 s"
        );
    }
}
