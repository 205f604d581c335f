//! Requests to a service, and commands in its container.

use tokio::time::{Instant, sleep};

use super::Service;
use super::intervals::LOG_TIMEOUT;
use crate::check::expectations::{ExecExpectations, HttpExpectations, Retries};
use crate::check::runtime_checks::output::{DEFAULT_TIMEOUT, found_exit_code};
use crate::check::runtime_checks::rejection::record_failed_start;
use crate::check::verdict::Checks;
use crate::engine::{EngineError, RunOutput};
use crate::harness::{
    HarnessError, POLL_INTERVAL, check_answer, describe_end, describe_still_running, exits,
    missing_program, send,
};
use crate::linux::signals;
use crate::text::value;
use crate::vm::instance::Reached;

impl Service<'_> {
    pub(super) async fn check_http(
        &mut self,
        expected: &HttpExpectations,
    ) -> Result<(), HarnessError> {
        let deadline = Instant::now() + expected.time_limit().duration();
        loop {
            let answer = send(self.image.daemon(), self.container, expected);
            let refused = match self.end.or(answer).await.transpose()? {
                Some(Reached::Connected(answer)) => {
                    check_answer(expected, &answer, &mut self.checks);
                    return Ok(());
                }
                Some(Reached::Refused(problem)) => Some(problem),
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

    /// Runs a command once, and compares its exit code and output with the expected ones.
    async fn exec(&self, expected: &ExecExpectations) -> Result<Checks, HarnessError> {
        let mut checks = Checks::default();
        if let Some(output) = self.run_exec(expected, &mut checks).await? {
            check_exit_code(expected, &output, &mut checks);
            check_texts(expected, &output, &mut checks);
        }
        Ok(checks)
    }

    /// Runs a command. If it does not start or end, that is a mismatch.
    async fn run_exec(
        &self,
        expected: &ExecExpectations,
        checks: &mut Checks,
    ) -> Result<Option<RunOutput>, HarnessError> {
        let limit = expected.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let daemon = self.image.daemon();
        let (options, clock) = (expected.options(daemon.engine()), daemon.vm().clock());
        let problem = match self.container.exec_within(&options, limit.duration(), clock).await {
            Ok(output) => return Ok(Some(output)),
            Err(EngineError::StillRunning { stdout, stderr, .. }) => {
                let subject = format!("duration of {}", shown(expected));
                let found = describe_still_running(&stdout, &stderr);
                checks.record(&subject, format!("at most {limit}"), found, false);
                return Ok(None);
            }
            Err(EngineError::Start(problem)) => problem,
            // An engine may fail to start a command in a container that ends at the same time.
            Err(error) if self.container.state().await.is_ok_and(|state| !state.running) => {
                error.to_string()
            }
            Err(error) => return Err(error.into()),
        };
        record_failed_start(&shown(expected), &problem, checks);
        Ok(None)
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

/// The words of a command, as reports show them.
fn shown(expected: &ExecExpectations) -> String {
    value::format(expected.words())
}

fn check_exit_code(expected: &ExecExpectations, output: &RunOutput, checks: &mut Checks) {
    let code = expected.exit_code.unwrap_or(0);
    let (wanted, passed) = match &expected.exit_code_rules {
        Some(rules) => (rules.in_words(), rules.is_match(&output.code.to_string())),
        None => (signals::describe_exit_code(code).into(), code == output.code),
    };
    let mut found = found_exit_code(output, expected.stderr.is_none());
    // Docker reports a command that cannot be started there.
    if !passed && output.stderr.is_empty() && !output.stdout.is_empty() {
        found = found.then(", standard output ").then_quote(&output.stdout);
        let hint = missing_program::hint_of_exit(output.code, &output.stdout);
        checks.hint(hint.into_iter().collect());
    }
    checks.record(&format!("exit code of {}", shown(expected)), wanted, found, passed);
}

fn check_texts(expected: &ExecExpectations, output: &RunOutput, checks: &mut Checks) {
    for (stream, rules, found) in [
        ("standard output", &expected.stdout, &output.stdout),
        ("standard error", &expected.stderr, &output.stderr),
    ] {
        if let Some(rules) = rules {
            checks.record_text(&format!("{stream} of {}", shown(expected)), rules, Some(found));
        }
    }
}
