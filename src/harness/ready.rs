//! Waits until a container meets the conditions for being ready.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::container_port;
use super::daemon::Daemon;
use super::describe::found_exit_code;
use super::end_notice::EndNotice;
use super::error::HarnessError;
use super::exits;
use super::http;
use super::line_ends::LineEnds;
use super::missing_program;
use super::sockets;
use crate::conditions::{
    Check, Checks, HttpExpectations, Port, Protocol, ReadyConditions, Text, Timeout,
};
use crate::engine::{Container, EngineError, ExecOptions, State};
use crate::text::{Description, value};
use crate::vm::instance::Reached;

/// The default timeout of `ready`.
pub(crate) const DEFAULT_READY_TIMEOUT: Timeout = Timeout::from_secs(60);
/// The time between two looks at a container.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The time that the first attempt of a command gets. Each later one has twice as much, because a
/// command may hang, but also need its time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The unmet condition of a container that has no health status.
const NO_HEALTH_CHECK: &str = "an image without a health check";

/// The result of waiting for a container.
#[derive(Debug)]
pub(crate) enum Readiness {
    /// All conditions are met.
    Ready,
    /// The condition that was not met in time.
    Unmet(Description),
    /// The container ended.
    Ended(State),
}

/// A condition that is not met yet.
enum Unmet {
    /// That for the log, which is this. It may be long: only that of the last attempt is described.
    Log(String),
    /// The description of another condition.
    Other(Description),
}

/// A container that is waited for.
pub(crate) struct Starting<'a> {
    /// The engine.
    pub daemon: &'a Daemon,
    /// The container.
    pub container: &'a Container,
    /// The line ends in the output of the container.
    pub line_ends: LineEnds,
    /// Arrives when the container ends.
    pub end: &'a EndNotice,
}

impl Starting<'_> {
    /// Waits until all `conditions` are met. `may_end` says whether the container may end after
    /// that.
    pub(crate) async fn wait(
        &self,
        conditions: &ReadyConditions,
        may_end: bool,
    ) -> Result<Readiness, HarnessError> {
        let timeout = conditions.timeout.unwrap_or(DEFAULT_READY_TIMEOUT);
        let deadline = Instant::now() + timeout.duration();
        let mut attempt = ATTEMPT_TIMEOUT;
        loop {
            let unmet = self.unmet_condition(conditions, deadline, &mut attempt);
            let unmet = match self.end.or(unmet).await {
                Some(unmet) => unmet?,
                None => Some(Unmet::Other("the service ended".into())),
            };
            // After the conditions: the command may end right after it has met all of them.
            if unmet.is_some() || !may_end {
                let state = exits::state(self.daemon, self.container).await?;
                if !state.running {
                    // It may have met the conditions right before its end.
                    let met = may_end && self.has_met(conditions).await?;
                    return Ok(if met { Readiness::Ready } else { Readiness::Ended(state) });
                }
                // Engines set the status when they start the container, so none will follow.
                if conditions.healthy == Some(true) && state.health.is_none() {
                    return Ok(Readiness::Unmet(NO_HEALTH_CHECK.into()));
                }
            }
            match unmet {
                None => return Ok(Readiness::Ready),
                Some(unmet) if Instant::now() >= deadline => {
                    return Ok(Readiness::Unmet(self.describe(unmet, conditions)));
                }
                Some(_) => drop(self.end.or(sleep(POLL_INTERVAL)).await),
            }
        }
    }

    /// Whether the ended container has met all `conditions`. Only its log is left to see that.
    async fn has_met(&self, conditions: &ReadyConditions) -> Result<bool, HarnessError> {
        let ReadyConditions { port, log, http, exec, healthy, timeout: _ } = conditions;
        let only_log = log.is_some()
            && port.is_none()
            && http.is_none()
            && exec.is_none()
            && *healthy != Some(true);
        Ok(only_log && self.unmet_log(log.as_ref()).await?.is_none())
    }

    /// Returns the first condition that is not met yet. A command may take as long
    /// as `attempt`, which grows.
    async fn unmet_condition(
        &self,
        conditions: &ReadyConditions,
        deadline: Instant,
        attempt: &mut Duration,
    ) -> Result<Option<Unmet>, HarnessError> {
        if let Some(log) = self.unmet_log(conditions.log.as_ref()).await? {
            return Ok(Some(Unmet::Log(log)));
        }
        let unmet = self.unmet_after_log(conditions, deadline, attempt).await?;
        Ok(unmet.map(Unmet::Other))
    }

    /// Like [`unmet_condition`](Self::unmet_condition), for those besides the log.
    async fn unmet_after_log(
        &self,
        conditions: &ReadyConditions,
        deadline: Instant,
        attempt: &mut Duration,
    ) -> Result<Option<Description>, HarnessError> {
        if conditions.healthy == Some(true) {
            match self.container.state().await?.health.as_deref() {
                Some("healthy") => {}
                Some(health) => {
                    return Ok(Some(Description::from("health status ").then_quote(health)));
                }
                None => return Ok(Some(NO_HEALTH_CHECK.into())),
            }
        }
        if let Some(port) = conditions.port
            && let Some(unmet) = self.unmet_port(port).await?
        {
            return Ok(Some(unmet.into()));
        }
        if let Some(unmet) = self.unmet_request(conditions.http.as_ref(), deadline).await? {
            return Ok(Some(unmet));
        }
        self.unmet_command(conditions.exec.as_deref(), deadline, attempt).await
    }

    /// Returns the output of the container, if it is not as `expected`.
    async fn unmet_log(&self, expected: Option<&Text>) -> Result<Option<String>, HarnessError> {
        let Some(expected) = expected else { return Ok(None) };
        let (stdout, stderr) = self.container.logs().await?;
        let log = self.line_ends.restore(stdout + &stderr);
        Ok((!self.line_ends.is_match(expected, &log)).then_some(log))
    }

    /// Describes the condition that is not met.
    fn describe(&self, unmet: Unmet, conditions: &ReadyConditions) -> Description {
        match (unmet, &conditions.log) {
            (Unmet::Log(log), Some(expected)) => {
                let returns = self.line_ends.carriage_returns();
                let unmet = expected.unmet(&log, returns).unwrap_or_default();
                let hint = expected.hints(&log, returns).into_iter().next();
                let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                let condition = Description::from("the condition for its log, ").then(unmet);
                condition.then(format!(", is not met{hint}: ")).then_quote(log)
            }
            (Unmet::Log(log), None) => Description::quote(log),
            (Unmet::Other(description), _) => description,
        }
    }

    /// Returns the reason why nothing outside of the container reaches `port`, if that is so.
    async fn unmet_port(&self, port: Port) -> Result<Option<String>, HarnessError> {
        let number = port.number;
        match port.protocol {
            Protocol::Tcp => {
                let reached = container_port::connect(self.daemon, self.container, number).await?;
                Ok(match reached {
                    Reached::Connected(_) => None,
                    Reached::Refused(problem) => {
                        Some(format!("no connection to port {number}: {problem}"))
                    }
                })
            }
            // Datagrams are not answered, so the kernel is asked for the socket.
            Protocol::Udp => {
                let inside = sockets::inspect(self.daemon, self.container).await?;
                let unmet = || format!("nothing listens on {number}/udp for others");
                Ok((!inside.is_reachable(port)).then(unmet))
            }
        }
    }

    /// Returns how the answer to a request differs from the expected one, if it does.
    async fn unmet_request(
        &self,
        expected: Option<&HttpExpectations>,
        deadline: Instant,
    ) -> Result<Option<Description>, HarnessError> {
        let Some(expected) = expected else { return Ok(None) };
        let sent = Box::pin(http::send(self.daemon, self.container, expected));
        let answer = match self.daemon.vm().clock().timeout(time_left(deadline), sent).await {
            Some(reached) => match reached? {
                Reached::Connected(answer) => answer,
                Reached::Refused(problem) => {
                    let unmet = format!("no connection for {}: {problem}", expected.name());
                    return Ok(Some(unmet.into()));
                }
            },
            None => return Ok(Some(format!("no complete answer to {}", expected.name()).into())),
        };
        let mut checks = Checks::default();
        http::check_answer(expected, &answer, &mut checks);
        Ok(checks.mismatches().first().cloned().map(|Check { subject, expected, found }| {
            let expected = Description::from(format!("{subject}: expected ")).then(expected);
            expected.then(", found ").then(found)
        }))
    }

    /// Returns how a command failed, if it did.
    async fn unmet_command(
        &self,
        command: Option<&[String]>,
        deadline: Instant,
        attempt: &mut Duration,
    ) -> Result<Option<Description>, HarnessError> {
        let Some(command) = command else { return Ok(None) };
        let limit = time_left(deadline).min(*attempt);
        let shown = value::format(command);
        Ok(match self.container.exec(&ExecOptions::command(command.to_vec()), limit).await {
            Ok(output) if output.code == 0 => None,
            Ok(output) => {
                let found = found_exit_code(&output, true);
                // Docker reports there that it has not started the command.
                let hint = missing_program::hint_of_exit(output.code, &output.stdout);
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                let code = Description::from(format!("{shown} exits with code ")).then(found);
                Some(code.then(hint))
            }
            // The service may have ended meanwhile, which is looked at next.
            Err(EngineError::StillRunning { limit, .. }) => {
                *attempt = attempt.saturating_mul(2);
                let seconds = limit.as_secs_f32();
                let running = format!("the command {shown} was still running after {seconds:.1} s");
                Some(running.into())
            }
            Err(EngineError::Start(problem)) => {
                let problem = missing_program::hint(&problem).unwrap_or(problem);
                Some(format!("{shown}: {problem}").into())
            }
            Err(error) => Some(format!("{shown}: {error}").into()),
        })
    }
}

/// The time limit of one attempt. It is more than nothing also after the deadline, so that a
/// condition that is met is not missed by a moment.
fn time_left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1))
}
