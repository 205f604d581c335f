//! The reasons why tests of a goss file are not made.

use super::output::Output;
use crate::check::verdict::Checks;
use crate::engine::EngineError;
use crate::harness::HarnessError;
use crate::text::errors::chain;

/// The reason why tests were not made, if there are any, after these findings about their service.
pub(super) fn after(findings: &Result<(Checks, Output), HarnessError>) -> String {
    match findings {
        Ok(_) => "the service did not become ready".to_owned(),
        Err(HarnessError::Engine(EngineError::Start(problem))) => {
            format!("the engine did not start the container: {problem}")
        }
        Err(error) => chain(error),
    }
}
