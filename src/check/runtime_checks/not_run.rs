//! The reasons why tests of a goss file are not made.

use super::output::Output;
use crate::check::verdict::Checks;
use crate::engine::EngineError;
use crate::harness::HarnessError;
use crate::text::errors::chain;

/// The reason why tests of a goss file were not made.
pub(super) struct NotRun {
    pub(super) reason: String,
}

impl NotRun {
    /// No container was started, for this reason.
    pub(super) fn because(reason: &str) -> Self {
        Self { reason: reason.to_owned() }
    }

    /// The reason why tests were not made, if there are any, after these findings about their
    /// service.
    pub(super) fn after(findings: &Result<(Checks, Output), HarnessError>) -> Self {
        match findings {
            Ok(_) => Self::because("the service did not become ready"),
            Err(HarnessError::Engine(EngineError::Start(problem))) => {
                Self { reason: format!("the engine did not start the container: {problem}") }
            }
            Err(error) => Self::because(&chain(error)),
        }
    }
}
