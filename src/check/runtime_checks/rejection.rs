//! Errors of an engine that the image has caused.

use crate::check::verdict::Checks;
use crate::engine::EngineError;
use crate::engine::run::OUTPUT_MAX;
use crate::harness::HarnessError;

/// Converts an error into a failed check, if the image is the cause rather than the engine.
pub(super) fn rejection(engine: &str, error: &HarnessError) -> Option<Checks> {
    let HarnessError::Engine(error) = error else { return None };
    let mut checks = Checks::default();
    match error {
        EngineError::Start(problem) => {
            let found = format!("{engine} reports: {problem}");
            checks.record("start", "the command starts", found, false);
        }
        EngineError::OutputTooLarge => {
            let (limit, found) = (OUTPUT_MAX >> 20, "more");
            checks.record("size of the output", format!("at most {limit} MiB"), found, false);
        }
        _ => return None,
    }
    Some(checks)
}
