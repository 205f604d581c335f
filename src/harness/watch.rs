//! Watches an engine during a request. The request ends with its answer, when the VM exits, when
//! the engine stops answering pings, or at its timeout. If it fails, the guest is asked which units
//! failed or restarted meanwhile. All timeouts are measured by the clock of the VM.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::engine::EngineError;
use crate::vm::instance::units::{self, UnitState};

/// The time for which a busy engine may leave pings unanswered.
const UNRESPONSIVE_TIMEOUT: Duration = Duration::from_secs(30);
/// The time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The time limit for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// The time limit for the guest's report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(20);
/// The time in which the exit of a VM is noticed after a request to it failed.
const EXIT_NOTICE_TIMEOUT: Duration = Duration::from_secs(2);

impl Daemon {
    /// Waits for `request`, for `limit` at most. `action` names the request in errors, in the
    /// infinitive: "load the image".
    pub(super) async fn watched<T>(
        &self,
        action: &str,
        limit: Duration,
        request: Pin<Box<impl Future<Output = Result<T, HarnessError>>>>,
    ) -> Result<T, HarnessError> {
        let timed_out = || EngineError::Timeout { action: action.to_owned(), limit };
        let answer = async {
            let answer = self.vm().clock().timeout(limit, request).await;
            answer.unwrap_or_else(|| Err(timed_out().into()))
        };
        self.watched_to_end(Box::pin(answer)).await
    }

    /// Waits for `request`, which has time limits of its own. It is boxed, because unoptimized code
    /// needs space on the stack for each time that it is moved.
    pub(crate) async fn watched_to_end<T>(
        &self,
        request: Pin<Box<impl Future<Output = Result<T, HarnessError>>>>,
    ) -> Result<T, HarnessError> {
        let clock = self.vm().clock();
        let started = match self.vm().uptime().await {
            Ok(uptime) => uptime,
            Err(error) => return Err(self.exit_error().await.unwrap_or(error.into())),
        };
        let failure = tokio::select! {
            biased;
            answer = request => match answer {
                Err(error) if error.is_environment() || is_still_running(&error) => error,
                answer => return answer,
            },
            exited = self.vm().wait_for_exit() => return Err(exited.into()),
            unresponsive = self.unresponsive() => unresponsive.into(),
        };
        let events = match clock.timeout(REPORT_TIMEOUT, self.events_since(started)).await {
            Some(Ok(events)) => events,
            // The exit of a VM is noticed a little later than the failure of the request.
            no_report => match (self.exit_error().await, no_report) {
                (Some(exited), _) => return Err(exited),
                (None, Some(Err(error))) => vec![format!("the guest does not answer: {error}")],
                (None, _) => vec!["the guest does not answer".to_owned()],
            },
        };
        if events.is_empty() {
            return Err(failure);
        }
        Err(HarnessError::Meanwhile { failure: failure.into(), events })
    }

    /// Returns the error of a VM that has exited, or exits within a moment.
    async fn exit_error(&self) -> Option<HarnessError> {
        let clock = self.vm().clock();
        let exited = clock.timeout(EXIT_NOTICE_TIMEOUT, self.vm().wait_for_exit()).await;
        exited.map(HarnessError::from)
    }

    /// Returns once the engine has not answered pings for too long.
    async fn unresponsive(&self) -> EngineError {
        let mut silent_for = Duration::ZERO;
        while silent_for < UNRESPONSIVE_TIMEOUT {
            sleep(PING_INTERVAL).await;
            match self.vm().clock().timeout(PING_TIMEOUT, self.engine().ping()).await {
                Some(Ok(_)) => silent_for = Duration::ZERO,
                _ => silent_for += PING_INTERVAL + PING_TIMEOUT,
            }
        }
        EngineError::Unresponsive { silent_for: UNRESPONSIVE_TIMEOUT }
    }

    /// Returns which of the engine's units failed or restarted since the guest's uptime was
    /// `started`, and whether its disk is full.
    async fn events_since(&self, started: Duration) -> Result<Vec<String>, HarnessError> {
        let mut agent = self.vm().agent(REPORT_TIMEOUT).await?;
        let mut events = Vec::new();
        let states = units::states(&mut agent, self.vm().family()).await?;
        for UnitState { unit, state, result, active_since } in states {
            let restarted_after = active_since.checked_sub(started).unwrap_or_default();
            if state != "active" {
                events.push(format!("{unit} is {state} (last result: {result})"));
            } else if !restarted_after.is_zero() {
                let seconds = restarted_after.as_secs_f64();
                events.push(format!("{unit} was restarted after {seconds:.1} s"));
            }
        }
        if units::disk_is_full(&mut agent, self.vm().family()).await? {
            events.push("the engine's disk is full".to_owned());
        }
        Ok(events)
    }
}

/// Whether a command did not end in time, which it may owe to the engine.
fn is_still_running(error: &HarnessError) -> bool {
    matches!(error, HarnessError::Engine(EngineError::StillRunning { .. }))
}
