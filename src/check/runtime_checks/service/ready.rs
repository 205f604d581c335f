//! Waits until a service is ready.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Service;
use super::intervals::{DEFAULT_READY_TIMEOUT, POLL_INTERVAL};
use crate::check::expectations::{HttpExpectations, Port, Protocol, ReadyConditions};
use crate::check::runtime_checks::output::found_exit_code;
use crate::check::runtime_checks::probe::{self, Probe};
use crate::check::runtime_checks::{http, sockets};
use crate::check::verdict::Checks;
use crate::harness::{HarnessError, value};

impl Service<'_> {
    /// Waits until the service is ready, and returns whether it is.
    pub(super) async fn becomes_ready(
        &mut self,
        expected: &ReadyConditions,
    ) -> Result<bool, HarnessError> {
        let timeout = expected.timeout.unwrap_or(DEFAULT_READY_TIMEOUT);
        let deadline = Instant::now() + timeout.duration();
        let ready = format!("ready within {timeout}");
        loop {
            let unmet = match self.end.or(self.unmet_condition(expected, deadline)).await {
                Some(unmet) => unmet?,
                None => Some("the service ended".to_owned()),
            };
            let may_end = unmet.is_none() && self.expected.exit_code.is_some();
            // After the conditions: the command may end right after it has met all of them.
            if !may_end && self.has_ended(&ready).await? {
                return Ok(false);
            }
            match unmet {
                None => {
                    self.checks.record("service", &ready, "ready", true);
                    return Ok(true);
                }
                Some(unmet) if Instant::now() >= deadline => {
                    self.checks.record("service", &ready, unmet, false);
                    return Ok(false);
                }
                Some(_) => drop(self.end.or(sleep(POLL_INTERVAL)).await),
            }
        }
    }

    /// Returns a description of the first condition that is not met yet.
    async fn unmet_condition(
        &self,
        expected: &ReadyConditions,
        deadline: Instant,
    ) -> Result<Option<String>, HarnessError> {
        if let Some(text) = &expected.log {
            let (stdout, stderr) = self.container.logs().await?;
            let log = stdout + &stderr;
            if !text.is_match(&log) {
                let log = value::excerpt_of_end(&log);
                return Ok(Some(format!("the condition for its log, {text}, is not met: {log}")));
            }
        }
        if expected.healthy == Some(true) {
            match self.container.state().await?.health.as_deref() {
                Some("healthy") => {}
                Some(health) => return Ok(Some(format!("health status {}", value::quote(health)))),
                None => return Ok(Some("an image without a health check".to_owned())),
            }
        }
        if let Some(port) = expected.port
            && let Some(unmet) = self.unmet_port(port).await?
        {
            return Ok(Some(unmet));
        }
        if let Some(unmet) = self.unmet_request(expected.http.as_ref()).await? {
            return Ok(Some(unmet));
        }
        self.unmet_command(expected.exec.as_deref(), deadline).await
    }

    /// Returns the reason why nothing outside of the container reaches `port`, if that is so.
    async fn unmet_port(
        &self,
        Port { number, protocol }: Port,
    ) -> Result<Option<String>, HarnessError> {
        let (daemon, container) = (self.image.daemon(), self.container);
        match protocol {
            Protocol::Tcp => Ok(match probe::connect(daemon, container, number).await? {
                Probe::Connected(_) => None,
                Probe::Refused(problem) => {
                    Some(format!("no connection to port {number}: {problem}"))
                }
            }),
            // Datagrams are not answered, so the kernel is asked for the socket.
            Protocol::Udp => {
                let inside = sockets::look(daemon, container).await?;
                let unmet = || format!("nothing listens on {number}/udp for others");
                Ok((!inside.is_reachable(protocol, number)).then(unmet))
            }
        }
    }

    /// Returns how the answer to a request of `ready` differs from the expected one, if it does.
    async fn unmet_request(
        &self,
        expected: Option<&HttpExpectations>,
    ) -> Result<Option<String>, HarnessError> {
        let Some(expected) = expected else { return Ok(None) };
        let answer = match http::send(self.image.daemon(), self.container, expected).await? {
            Probe::Connected(answer) => answer,
            Probe::Refused(problem) => {
                return Ok(Some(format!("no connection for {}: {problem}", expected.name())));
            }
        };
        let mut checks = Checks::default();
        http::check_answer(expected, &answer, &mut checks);
        Ok(checks.mismatches().first().map(|check| {
            format!("{}: expected {}, found {}", check.subject, check.expected, check.found)
        }))
    }

    /// Returns how the command of `ready` failed, if it did.
    async fn unmet_command(
        &self,
        command: Option<&[String]>,
        deadline: Instant,
    ) -> Result<Option<String>, HarnessError> {
        let Some(command) = command else { return Ok(None) };
        // Also after the deadline, so that a command that works is not missed by a moment.
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = left.max(Duration::from_secs(1));
        let shown = value::format(command);
        Ok(match self.container.exec(command, None, limit).await {
            Ok(output) if output.code == 0 => None,
            Ok(output) => {
                Some(format!("{shown} exits with code {}", found_exit_code(&output, true)))
            }
            // The service may have ended meanwhile, which is looked at next.
            Err(error) => Some(format!("{shown}: {error}")),
        })
    }
}
