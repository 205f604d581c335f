//! Checks of a command that is run until it ends.

use super::output::{DEFAULT_TIMEOUT, Output, found_exit_code};
use super::{hints, setup};
use crate::check::expectations::{RunExpectations, Start};
use crate::check::verdict::Checks;
use crate::engine::{EngineError, RunOptions, RunOutput};
use crate::harness::{HarnessError, LineEnds, LoadedImage};
use crate::linux::signals;
use crate::text::Description;

/// A start that must fail.
const REFUSED: &str = "the engine refuses to start it";

/// Runs the command in a container with `options`, and compares its exit code and output with
/// `expected`.
pub(super) async fn check(
    image: &LoadedImage<'_>,
    expected: &RunExpectations,
    options: &RunOptions,
) -> Result<(Checks, Output), HarnessError> {
    let limit = expected.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let mut checks = Checks::default();
    let changed = match setup::apply(image, &setup::steps_of(expected, options)).await? {
        Some(Err(checks)) => return Ok((checks, Output::default())),
        Some(Ok(changed)) => Some(changed),
        None => None,
    };
    let image = changed.as_ref().unwrap_or(image);
    let found = image.run_and_remove_later(options, limit.duration()).await;
    let (output, id) = match found {
        Ok(ended) => ended,
        Err(HarnessError::Engine(EngineError::Start(problem)))
            if expected.start == Start::Fails =>
        {
            check_refusal(expected, &problem, &mut checks);
            return Ok((checks, Output::default()));
        }
        Err(HarnessError::Engine(EngineError::StillRunning { stdout, stderr, .. })) => {
            checks.record("duration", format!("at most {limit}"), "still running", false);
            return Ok((checks, (stdout, stderr).into()));
        }
        Err(error) => return Err(error),
    };
    match expected.start {
        Start::Fails => {
            let code = found_exit_code(&output, false);
            let found = Description::from("it started; exit code ").then(code);
            checks.record("start", REFUSED, found, false);
        }
        Start::Succeeds => {
            let line_ends = LineEnds::new(image.daemon().engine(), expected.container.tty);
            check_output(expected, &output, line_ends, &mut checks);
        }
    }
    let RunOutput { stdout, stderr, .. } = output;
    Ok((checks, Output { stdout, stderr, container: Some(id) }))
}

/// Compares the message of an engine that refused to start the command, as it must.
fn check_refusal(expected: &RunExpectations, problem: &str, checks: &mut Checks) {
    checks.record("start", REFUSED, Description::quote(problem), true);
    if let Some(text) = &expected.start_error {
        checks.record_text("message of the engine", text, Some(problem));
    }
}

fn check_output(
    expected: &RunExpectations,
    output: &RunOutput,
    line_ends: LineEnds,
    checks: &mut Checks,
) {
    let code = expected.exit_code.unwrap_or(0);
    let found = found_exit_code(output, false);
    checks.record("exit code", signals::describe_exit_code(code), found, code == output.code);
    let texts = [
        ("standard output", &expected.stdout, &output.stdout),
        ("standard error", &expected.stderr, &output.stderr),
    ];
    for (subject, expected, found) in texts {
        if let Some(text) = expected {
            let found = line_ends.restore(found.clone());
            checks.record_output(subject, text, &found, line_ends.carriage_returns());
        }
    }
    if let (Some(whose), false) = (output.out_of_memory, checks.mismatches().is_empty()) {
        let limit = expected.container.memory_mib.map(u64::from);
        checks.hint(vec![hints::of_memory(whose, limit)]);
    }
}
