//! Checks of a command that is run until it ends.

use std::time::Duration;

use crate::check::expectations::RunExpectations;
use crate::check::verdict::Checks;
use crate::engine::{EngineError, RunOutput};
use crate::harness::{HarnessError, LoadedImage, value};

/// The default timeout of a command in seconds.
const DEFAULT_TIMEOUT: u64 = 60;

/// Runs the command and compares its exit code and output with `expected`.
pub(super) async fn check(
    image: &LoadedImage<'_>,
    expected: &RunExpectations,
) -> Result<(Checks, String), HarnessError> {
    let seconds = expected.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let mut checks = Checks::default();
    let options = expected.container.options(false);
    match image.run(&options, Duration::from_secs(seconds)).await {
        Ok(output) => {
            let drops_returns = image.daemon().engine().drops_carriage_returns();
            check_output(expected, &output, drops_returns, &mut checks);
            Ok((checks, output.stdout + &output.stderr))
        }
        Err(HarnessError::Engine(EngineError::Timeout { .. })) => {
            checks.record("duration", format!("at most {seconds} s"), "still running", false);
            Ok((checks, String::new()))
        }
        Err(error) => Err(error),
    }
}

/// `drops_returns` says whether the engine has removed carriage returns before newlines.
fn check_output(
    expected: &RunExpectations,
    output: &RunOutput,
    drops_returns: bool,
    checks: &mut Checks,
) {
    let code = expected.exit_code.unwrap_or(0);
    let mut found = output.code.to_string();
    if let Some(signal) = output.signal() {
        found += &format!(" (probably ended by signal {signal})");
    }
    // Usually explains the exit code.
    if expected.stderr.is_none() && !output.stderr.is_empty() {
        found += &format!(", standard error {}", value::excerpt_of_end(&output.stderr));
    }
    checks.record("exit code", code, found, code == output.code);
    let texts = [
        ("standard output", &expected.stdout, &output.stdout),
        ("standard error", &expected.stderr, &output.stderr),
    ];
    for (subject, expected, found) in texts {
        if let Some(text) = expected {
            let passed = text.is_match(found)
                || drops_returns && text.without_carriage_returns().is_match(found);
            checks.record(subject, text, value::excerpt(found), passed);
        }
    }
}
