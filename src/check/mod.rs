//! Tests images against expectation files: first the archive alone (static checks), then containers on
//! real engines (runtime checks). The result is a [`Verdict`].
//!
//! Nothing is printed here: the runner reports events, and [`report`](crate::report) formats a verdict.

mod error;
pub mod expectations;
mod runner;
mod runtime_checks;
mod service;
mod static_checks;
pub mod text;
mod value;
pub mod verdict;

pub use error::CheckError;
pub use expectations::Expectations;
pub use runner::{CheckInput, Event, ExpectationFile, Options, Reporter, arch_of, run};
pub use static_checks::ImageUnderTest;
pub use verdict::{EngineRun, Outcome, TestCase, Verdict};
