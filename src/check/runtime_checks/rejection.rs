//! Errors of an engine that the image has caused, commands that it did not start, and too much
//! output.

use super::output::Output;
use crate::check::verdict::Checks;
use crate::engine::run::OUTPUT_MAX;
use crate::engine::{Container, EngineError};
use crate::harness::{HarnessError, missing_program};

/// Converts an error into a failed check, if the image is the cause rather than the engine.
pub(super) fn rejection(engine: &str, error: &HarnessError) -> Option<Checks> {
    let HarnessError::Engine(error) = error else { return None };
    let mut checks = Checks::default();
    match error {
        EngineError::Start(problem) => {
            record_failed_start("start", &format!("{engine} reports: {problem}"), &mut checks);
        }
        EngineError::OutputTooLarge => too_large(&mut checks),
        _ => return None,
    }
    Some(checks)
}

/// Records that the engine did not start a command, with its message.
pub(super) fn record_failed_start(subject: &str, message: &str, checks: &mut Checks) {
    checks.record(subject, "the command starts", message, false);
    checks.hint(missing_program::hint(message).into_iter().collect());
}

/// Returns the output of `container` up to now, as far as it can be had. Too much of it is a failed
/// check.
pub(super) async fn output(container: &Container, checks: &mut Checks) -> Output {
    let logs = container.logs().await;
    if let Err(EngineError::OutputTooLarge) = logs {
        too_large(checks);
    }
    logs.unwrap_or_default().into()
}

fn too_large(checks: &mut Checks) {
    let limit = OUTPUT_MAX >> 20;
    checks.record("size of the output", format!("at most {limit} MiB"), "more", false);
}
