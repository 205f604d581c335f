//! Requests to a service, and commands in its container.

use tokio::time::{Instant, sleep};

use super::Service;
use super::intervals::LOG_TIMEOUT;
use crate::check::expectations::{ExecExpectations, HttpExpectations, Retries};
use crate::check::runtime_checks::output::{DEFAULT_TIMEOUT, found_exit_code};
use crate::check::verdict::Checks;
use crate::engine::EngineError;
use crate::harness::{
    HarnessError, POLL_INTERVAL, Probe, check_answer, describe_end, describe_still_running, exits,
    missing_program, send,
};
use crate::linux::signals;
use crate::text::value;

impl Service<'_> {
    pub(super) async fn check_http(
        &mut self,
        expected: &HttpExpectations,
    ) -> Result<(), HarnessError> {
        let deadline = Instant::now() + expected.time_limit().duration();
        loop {
            let answer = send(self.image.daemon(), self.container, expected);
            let refused = match self.end.or(answer).await.transpose()? {
                Some(Probe::Connected(answer)) => {
                    check_answer(expected, &answer, &mut self.checks);
                    return Ok(());
                }
                Some(Probe::Refused(problem)) => Some(problem),
                None => None,
            };
            let state = exits::state(self.image.daemon(), self.container).await?;
            let found = match refused {
                Some(_) if state.running && Instant::now() < deadline => {
                    sleep(POLL_INTERVAL).await;
                    continue;
                }
                Some(problem) if state.running => format!("no connection: {problem}"),
                _ => describe_end(self.container, &state).await,
            };
            self.checks.record(&expected.name(), "an answer", found, false);
            return Ok(());
        }
    }

    /// Runs a command, and runs it again while it is not as expected and has attempts left.
    pub(super) async fn check_exec(
        &mut self,
        expected: &ExecExpectations,
    ) -> Result<(), HarnessError> {
        let Retries { count, delay } = expected.retries;
        let mut checks = self.exec(expected).await?;
        for _ in 0..count {
            if checks.mismatches().is_empty() || self.end.or(sleep(delay)).await.is_none() {
                break;
            }
            checks = self.exec(expected).await?;
        }
        self.checks.add(checks);
        Ok(())
    }

    async fn exec(&self, expected: &ExecExpectations) -> Result<Checks, HarnessError> {
        let mut checks = Checks::default();
        let limit = expected.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let shown = value::format(expected.words());
        let (time, daemon) = (limit.duration(), self.image.daemon());
        let options = expected.options(daemon.engine());
        let output = match self.container.exec_within(&options, time, daemon.vm().clock()).await {
            Ok(output) => output,
            Err(EngineError::StillRunning { stdout, stderr, .. }) => {
                let subject = format!("duration of {shown}");
                let limit = format!("at most {limit}");
                let found = describe_still_running(&stdout, &stderr);
                checks.record(&subject, limit, found, false);
                return Ok(checks);
            }
            Err(EngineError::Start(problem)) => {
                checks.hint(missing_program::hint(&problem).into_iter().collect());
                checks.record(&shown, "the command starts", problem, false);
                return Ok(checks);
            }
            // An engine may fail to start a command in a container that ends at the same time.
            Err(error) if !self.container.state().await.is_ok_and(|state| !state.running) => {
                return Err(error.into());
            }
            Err(error) => {
                checks.record(&shown, "the command starts", error, false);
                return Ok(checks);
            }
        };
        let code = expected.exit_code.unwrap_or(0);
        let (wanted, passed) = match &expected.exit_code_rules {
            Some(rules) => (rules.to_string(), rules.is_match(&output.code.to_string())),
            None => (signals::describe_exit_code(code), code == output.code),
        };
        let mut found = found_exit_code(&output, expected.stderr.is_none());
        // Docker reports a command that cannot be started there.
        if !passed && output.stderr.is_empty() && !output.stdout.is_empty() {
            found += &format!(", standard output {}", value::quote(&output.stdout));
            let hint = missing_program::hint_of_exit(output.code, &output.stdout);
            checks.hint(hint.into_iter().collect());
        }
        checks.record(&format!("exit code of {shown}"), wanted, found, passed);
        let texts = [
            ("standard output", &expected.stdout, &output.stdout),
            ("standard error", &expected.stderr, &output.stderr),
        ];
        for (subject, expected, found) in texts {
            if let Some(text) = expected {
                checks.record_text(&format!("{subject} of {shown}"), text, Some(found));
            }
        }
        Ok(checks)
    }

    /// Compares the output of the service with the expected one, once it is as expected, or the
    /// service has ended, or a while is over: it may write to its log after it has answered.
    pub(super) async fn check_log(&mut self) -> Result<(), HarnessError> {
        let Some(expected) = &self.expected.log else { return Ok(()) };
        let line_ends = self.line_ends();
        let is_match = |log: &str| line_ends.is_match(expected, log);
        let mut log = self.log().await?;
        let appears = async {
            while !is_match(&log) && self.end.or(sleep(POLL_INTERVAL)).await.is_some() {
                log = self.log().await?;
            }
            Ok::<_, HarnessError>(())
        };
        self.image.daemon().vm().clock().timeout(LOG_TIMEOUT, appears).await.transpose()?;
        if !is_match(&log) {
            log = self.log().await?;
        }
        self.checks.record_output("log", expected, &log, line_ends.carriage_returns());
        Ok(())
    }

    async fn log(&self) -> Result<String, HarnessError> {
        let (stdout, stderr) = self.container.logs().await?;
        Ok(self.line_ends().restore(stdout + &stderr))
    }
}
