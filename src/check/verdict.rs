//! The verdict: all test cases of a run with their results. It is serialized as the JSON report.

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

pub(super) use crate::conditions::Checks;
use crate::conditions::Results;
pub use crate::conditions::{Check, Description};
use crate::engine::TimelineEvent;
use crate::image::Timestamp;

/// The version of seatrial.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The result of a test case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
pub enum Outcome {
    /// All checks passed.
    Passed,
    /// At least one check did not pass.
    Failed {
        /// All checks that did not pass.
        mismatches: Vec<Check>,
    },
    /// The test case could not be run: the environment failed.
    Error {
        /// The reason.
        problem: String,
    },
    /// The test case was not run.
    Skipped {
        /// The reason.
        reason: String,
    },
}

/// A named group of checks with one result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestCase {
    /// The image that was checked.
    pub image: String,
    /// The engine of a runtime check; `None` for static checks.
    pub engine: Option<String>,
    /// The name, such as `file /bin/app`.
    pub name: String,
    /// The result.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The duration in seconds.
    pub seconds: f64,
    /// All checks that passed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed_checks: Vec<Check>,
    /// Facts that help to find the reason of a failure, or to judge how reliable a pass is. Of a
    /// failed test case, also the reasons why some checks could not be made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The container's standard output.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// The container's standard error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

/// An engine in a VM of its own, with one image loaded.
#[derive(Clone, Debug, Serialize)]
pub struct EngineRun {
    /// The image, as in the run's test cases.
    pub image: String,
    /// The name of the engine.
    pub engine: String,
    /// The version that the engine reports.
    pub version: String,
    /// The events from the start of the VM until the engine was ready.
    pub timeline: Vec<TimelineEvent>,
    /// The reason why the VM was booted instead of restored from a snapshot.
    pub fallback: Option<String>,
    /// The duration of loading the image, in seconds. If a snapshot with its layers was made, with
    /// the time for that.
    pub load_seconds: f64,
    /// The number of layers that were not sent because the engine had them.
    pub present_layers: usize,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunResult {
    /// Every test case passed or was skipped.
    Passed,
    /// A test case failed, or one was skipped and the run [denies](Verdict::deny_skips) that.
    Failed,
    /// A test case could not be run.
    Undetermined,
}

/// All test cases of a run.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The test cases, in order.
    pub cases: Vec<TestCase>,
    /// The engines that were started, in order.
    pub engine_runs: Vec<EngineRun>,
    /// The time at which the run began.
    pub started: Option<Timestamp>,
    /// The duration of the run, in seconds.
    pub seconds: f64,
    /// The command line that started the run, without secrets.
    pub command: Option<String>,
    /// Whether the run fails if a test case is skipped.
    pub deny_skips: bool,
}

/// The number of test cases with each result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Test cases that passed.
    pub passed: usize,
    /// Test cases that failed.
    pub failed: usize,
    /// Test cases that could not be run.
    pub errors: usize,
    /// Test cases that were skipped.
    pub skipped: usize,
}

impl TestCase {
    /// Creates a test case with the result of `checks`. If some could not be made, and all others
    /// passed, the result is an error.
    pub(super) fn finished(image: &str, name: impl Into<String>, checks: Checks) -> Self {
        let Results { passed, mismatches, mut hints, mut problems } = checks.into_results();
        let outcome = match (mismatches.is_empty(), problems.is_empty()) {
            (true, true) => Outcome::Passed,
            (true, false) => Outcome::Error { problem: problems.join("; ") },
            (false, _) => {
                hints.append(&mut problems);
                Outcome::Failed { mismatches }
            }
        };
        Self { passed_checks: passed, hints, ..Self::with_outcome(image, name, outcome) }
    }

    /// Creates a test case that was not run.
    pub(super) fn skipped(image: &str, name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::with_outcome(image, name, Outcome::Skipped { reason: reason.into() })
    }

    /// Creates a test case that could not be run.
    pub(super) fn error(image: &str, name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::with_outcome(image, name, Outcome::Error { problem: problem.into() })
    }

    /// Creates a test case with this result, and nothing else.
    pub(crate) fn with_outcome(image: &str, name: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            image: image.to_owned(),
            engine: None,
            name: name.into(),
            outcome,
            seconds: 0.0,
            passed_checks: Vec::new(),
            hints: Vec::new(),
            output: String::new(),
            stderr: String::new(),
        }
    }

    /// Sets the engine and the duration.
    pub(super) fn on_engine(mut self, engine: &str, duration: Duration) -> Self {
        self.engine = Some(engine.to_owned());
        self.seconds = duration.as_secs_f64();
        self
    }
}

impl Verdict {
    /// Counts the test cases by result.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for case in &self.cases {
            *match case.outcome {
                Outcome::Passed => &mut tally.passed,
                Outcome::Failed { .. } => &mut tally.failed,
                Outcome::Error { .. } => &mut tally.errors,
                Outcome::Skipped { .. } => &mut tally.skipped,
            } += 1;
        }
        tally
    }

    /// The result of the run.
    pub fn result(&self) -> RunResult {
        match self.tally() {
            Tally { errors: 1.., .. } => RunResult::Undetermined,
            Tally { failed: 1.., .. } => RunResult::Failed,
            _ if self.fails_by_skips() => RunResult::Failed,
            _ => RunResult::Passed,
        }
    }

    /// Whether skipped test cases make the run fail.
    pub(crate) fn fails_by_skips(&self) -> bool {
        self.deny_skips && self.tally().skipped > 0
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { cases, engine_runs, started, seconds, command, deny_skips } = self;
        let mut report = serializer.serialize_struct("Verdict", 8)?;
        report.serialize_field("result", &self.result())?;
        report.serialize_field("cases", cases)?;
        report.serialize_field("engine_runs", engine_runs)?;
        report.serialize_field("started", started)?;
        report.serialize_field("seconds", seconds)?;
        report.serialize_field("version", VERSION)?;
        report.serialize_field("command", command)?;
        report.serialize_field("deny_skips", deny_skips)?;
        report.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_test_cases_fail_a_run_that_denies_them() {
        let passed = TestCase::finished("app:1", "config", Checks::default());
        let skipped = TestCase::skipped("app:1", "run x", "needs an engine");
        let error = TestCase::error("app:1", "run y", "no QEMU");
        for (deny_skips, cases, result) in [
            (false, vec![passed.clone(), skipped.clone()], RunResult::Passed),
            (true, vec![passed.clone(), skipped.clone()], RunResult::Failed),
            (true, vec![passed], RunResult::Passed),
            (true, vec![skipped, error], RunResult::Undetermined),
        ] {
            let verdict = Verdict { cases, deny_skips, ..Verdict::default() };
            assert_eq!(verdict.result(), result, "{verdict:?}");
        }
    }

    #[test]
    fn a_test_case_fails_if_one_check_does_not_pass_and_lists_the_others_as_passed() {
        let mut checks = Checks::default();
        checks.expect_equal("architecture", &Some("amd64"), &Some("amd64"));
        checks.expect_equal("user", &Some("root"), &None);
        let case = TestCase::finished("app:1", "config", checks);
        assert_eq!(case.passed_checks.len(), 1);
        let Outcome::Failed { mismatches } = case.outcome else { panic!("{case:?}") };
        assert_eq!(mismatches.len(), 1);
        assert_eq!(mismatches[0].expected, "\"root\"");
        assert_eq!(mismatches[0].found, "nothing");
    }
}
