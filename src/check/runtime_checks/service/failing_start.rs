//! Checks of a service whose start must fail: it ends before it is ready, or the engine refuses it.

use tokio::time::sleep;

use super::Service;
use crate::check::expectations::{ReadyConditions, ServiceExpectations};
use crate::check::verdict::Checks;
use crate::harness::{DEFAULT_READY_TIMEOUT, HarnessError, exits};
use crate::signals;

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
        let ended = self.ends_before_ready().await?;
        let state = exits::state(self.image.daemon(), self.container).await?;
        let exit = state.exit.as_ref().filter(|_| ended);
        let expected_code = self.expected.exit_code;
        let failed = exit.is_some_and(|exit| exit.code != 0 || expected_code == Some(0));
        let found = match exit {
            Some(exit) => exit.to_string(),
            None if ended => "it ended".to_owned(),
            None => "it started".to_owned(),
        };
        self.checks.record("start", FAILS, found, failed);
        if let (Some(code), Some(exit)) = (expected_code, exit) {
            let [wanted, found] = [code, exit.code].map(signals::describe_exit_code);
            self.checks.record("exit code", wanted, found, code == exit.code);
        }
        self.check_log().await
    }

    /// Waits until the service is ready or ends, and returns whether it has ended. Without
    /// conditions, it is never ready.
    async fn ends_before_ready(&mut self) -> Result<bool, HarnessError> {
        let ready = &self.expected.ready;
        if has_conditions(ready) {
            let is_ready = self.becomes_ready(ready).await?;
            // That it did not become ready is what is expected.
            self.checks = Checks::default();
            if is_ready {
                return Ok(false);
            }
        } else {
            let timeout = ready.timeout.unwrap_or(DEFAULT_READY_TIMEOUT);
            let _ = self.end.or(sleep(timeout.duration())).await;
        }
        Ok(!self.container.state().await?.running)
    }
}

fn has_conditions(ready: &ReadyConditions) -> bool {
    let ReadyConditions { port, log, http, exec, healthy, timeout: _ } = ready;
    port.is_some() || log.is_some() || http.is_some() || exec.is_some() || *healthy == Some(true)
}
