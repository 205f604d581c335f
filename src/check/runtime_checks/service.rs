//! Checks of a service: it is started, waited for, sent requests from outside of its container, and
//! stopped. A service that ends by itself fails, unless that is expected.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::output::{DEFAULT_TIMEOUT, found_exit_code};
use super::probe::{self, Answer, HTTP_TIMEOUT, Probe};
use crate::check::expectations::{
    ExecExpectations, HttpExpectations, ReadyConditions, ServiceExpectations, StopExpectations,
    Text,
};
use crate::check::verdict::Checks;
use crate::engine::{Container, EngineError, Exit, State};
use crate::harness::{HarnessError, LoadedImage, value};

/// The default timeout of `ready` in seconds.
const DEFAULT_READY_TIMEOUT: u64 = 60;
/// The default timeout of `stop` in seconds.
const DEFAULT_STOP_TIMEOUT: u64 = 10;
/// The time in which a service must end that ends by itself, in seconds.
const EXIT_TIMEOUT: u64 = 60;
/// The time between two looks at the conditions of `ready`.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Bounds of the time for which a ready service must keep running. In between, it is the time that
/// the engine needed to start the container, which grows with the load of the host.
const SETTLE_MIN: Duration = Duration::from_millis(500);
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Starts the service, compares it with `expected`, and removes it.
pub(super) async fn check(
    image: &LoadedImage<'_>,
    expected: &ServiceExpectations,
) -> Result<(Checks, String), HarnessError> {
    let begin = Instant::now();
    let container = image.start(&expected.container.options(true)).await?;
    let settle_time = begin.elapsed().clamp(SETTLE_MIN, SETTLE_MAX);
    let checks = Checks::default();
    let mut service = Service { image, container: &container, expected, settle_time, checks };
    let result = service.check().await;
    let checks = service.checks;
    let logs = container.logs().await.map(|(stdout, stderr)| stdout + &stderr).unwrap_or_default();
    container.remove().await?;
    result?;
    Ok((checks, logs))
}

/// A running service and its checks so far.
struct Service<'a> {
    image: &'a LoadedImage<'a>,
    container: &'a Container,
    expected: &'a ServiceExpectations,
    /// The time for which a ready service must keep running.
    settle_time: Duration,
    checks: Checks,
}

impl Service<'_> {
    async fn check(&mut self) -> Result<(), HarnessError> {
        if !self.becomes_ready(&self.expected.ready).await? {
            return Ok(());
        }
        let settled = Instant::now() + self.settle_time;
        for request in &self.expected.http {
            self.check_http(request).await?;
        }
        for command in &self.expected.exec {
            self.check_exec(command).await?;
        }
        if let Some(log) = &self.expected.log {
            self.check_log(log).await?;
        }
        if let Some(code) = self.expected.exit_code {
            return self.check_exit(code).await;
        }
        sleep_until(settled).await;
        if self.has_ended("keeps running").await? {
            return Ok(());
        }
        match &self.expected.stop {
            Some(stop) => self.check_stop(stop).await,
            None => Ok(()),
        }
    }

    /// Waits until the service is ready, and returns whether it is.
    async fn becomes_ready(&mut self, expected: &ReadyConditions) -> Result<bool, HarnessError> {
        let seconds = expected.timeout.unwrap_or(DEFAULT_READY_TIMEOUT);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let ready = format!("ready within {seconds} s");
        loop {
            let unmet = self.unmet_condition(expected, deadline).await?;
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
                Some(_) => sleep(POLL_INTERVAL).await,
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
        if let Some(port) = expected.port {
            match probe::connect(self.image.daemon(), self.container, port).await? {
                Probe::Connected(()) => {}
                Probe::Refused(problem) => {
                    return Ok(Some(format!("no connection to port {port}: {problem}")));
                }
            }
        }
        if let Some(unmet) = self.unmet_request(expected.http.as_ref()).await? {
            return Ok(Some(unmet));
        }
        self.unmet_command(expected.exec.as_deref(), deadline).await
    }

    /// Returns how the answer to a request of `ready` differs from the expected one, if it does.
    async fn unmet_request(
        &self,
        expected: Option<&HttpExpectations>,
    ) -> Result<Option<String>, HarnessError> {
        let Some(expected) = expected else { return Ok(None) };
        let path = expected.path.as_deref().unwrap_or("/");
        let request = format!("GET {path} at port {}", expected.port);
        let daemon = self.image.daemon();
        let answer = match probe::get(daemon, self.container, expected.port, path).await? {
            Probe::Connected(answer) => answer,
            Probe::Refused(problem) => {
                return Ok(Some(format!("no connection for {request}: {problem}")));
            }
        };
        let mut checks = Checks::default();
        check_answer(&request, expected, &answer, &mut checks);
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

    async fn check_exec(&mut self, expected: &ExecExpectations) -> Result<(), HarnessError> {
        let seconds = expected.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let limit = Duration::from_secs(seconds);
        let shown = value::format(&expected.command);
        let user = expected.user.as_deref();
        let output = match self.container.exec(&expected.command, user, limit).await {
            Ok(output) => output,
            Err(EngineError::Timeout { .. }) => {
                let (subject, limit) =
                    (format!("duration of {shown}"), format!("at most {seconds} s"));
                self.checks.record(&subject, limit, "still running", false);
                return Ok(());
            }
            Err(EngineError::Start(problem)) => {
                self.checks.record(&shown, "the command starts", problem, false);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let code = expected.exit_code.unwrap_or(0);
        let mut found = found_exit_code(&output, expected.stderr.is_none());
        // Docker reports a command that cannot be started there.
        if code != output.code && output.stderr.is_empty() && !output.stdout.is_empty() {
            found += &format!(", standard output {}", value::excerpt_of_end(&output.stdout));
        }
        self.checks.record(&format!("exit code of {shown}"), code, found, code == output.code);
        let texts = [
            ("standard output", &expected.stdout, &output.stdout),
            ("standard error", &expected.stderr, &output.stderr),
        ];
        for (subject, expected, found) in texts {
            if let Some(text) = expected {
                let (subject, shown) = (format!("{subject} of {shown}"), value::excerpt(found));
                self.checks.record(&subject, text, shown, text.is_match(found));
            }
        }
        Ok(())
    }

    async fn check_log(&mut self, expected: &Text) -> Result<(), HarnessError> {
        let (stdout, stderr) = self.container.logs().await?;
        let log = stdout + &stderr;
        let passed = expected.is_match(&log);
        self.checks.record("log", expected, value::excerpt_of_end(&log), passed);
        Ok(())
    }

    async fn check_http(&mut self, expected: &HttpExpectations) -> Result<(), HarnessError> {
        let path = expected.path.as_deref().unwrap_or("/");
        let request = format!("GET {path} at port {}", expected.port);
        let deadline = Instant::now() + Duration::from_secs(HTTP_TIMEOUT);
        loop {
            match probe::get(self.image.daemon(), self.container, expected.port, path).await? {
                Probe::Connected(answer) => {
                    check_answer(&request, expected, &answer, &mut self.checks);
                    return Ok(());
                }
                Probe::Refused(problem) => {
                    let state = self.container.state().await?;
                    if state.running && Instant::now() < deadline {
                        sleep(POLL_INTERVAL).await;
                        continue;
                    }
                    let found = match state.running {
                        true => format!("no connection: {problem}"),
                        false => self.describe_end(&state).await,
                    };
                    self.checks.record(&request, "an answer", found, false);
                    return Ok(());
                }
            }
        }
    }

    async fn check_stop(&mut self, expected: &StopExpectations) -> Result<(), HarnessError> {
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
    async fn check_exit(&mut self, expected: i64) -> Result<(), HarnessError> {
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
    async fn has_ended(&mut self, expected: &str) -> Result<bool, HarnessError> {
        let state = self.container.state().await?;
        if state.running {
            return Ok(false);
        }
        let found = self.describe_end(&state).await;
        self.checks.record("service", expected, found, false);
        Ok(true)
    }

    /// Describes how the command ended, with the end of its output.
    async fn describe_end(&self, state: &State) -> String {
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

/// Compares an answer with the expected one.
fn check_answer(request: &str, expected: &HttpExpectations, answer: &Answer, checks: &mut Checks) {
    let Answer { status, problem, body } = answer;
    let expected_status = expected.status.unwrap_or(200);
    let passed = *status == Some(expected_status);
    let found = match (status, problem) {
        (Some(status), _) => status.to_string(),
        (None, Some(problem)) if body.is_empty() => format!("no status: {problem}"),
        (None, problem) => {
            let problem = problem.as_deref().unwrap_or_default();
            format!("no status: {problem}: {}", value::excerpt(body))
        }
    };
    checks.record(&format!("status of {request}"), expected_status, found, passed);
    let subject = format!("body of {request}");
    match (problem, &expected.body) {
        (Some(problem), text) if status.is_some() => {
            let complete = || format!("a complete body within {HTTP_TIMEOUT} s");
            let expected = text.as_ref().map_or_else(complete, ToString::to_string);
            let found = format!("{problem}; until then {}", value::excerpt(body));
            checks.record(&subject, expected, found, false);
        }
        (None, Some(text)) => {
            checks.record(&subject, text, value::excerpt(body), text.is_match(body));
        }
        _ => {}
    }
}
