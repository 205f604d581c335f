//! What a trial found: cases, and what they come to.

use std::time::Duration;

use serde::Serialize;

use super::value;
use crate::engine::TimelineEvent;

/// The name of the case that comes first on an engine: what it made of the archive.
pub(super) const LOADED: &str = "loaded under its name";

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
pub enum Outcome {
    /// All is as expected.
    Passed,
    /// Something is not.
    Failed {
        /// Everything that is not.
        mismatches: Vec<Check>,
    },
    /// It could not be found out.
    Error {
        /// Why not.
        problem: String,
    },
    /// It was not looked at. That is no pass.
    Skipped {
        /// Why not.
        reason: String,
    },
}

/// One thing that was expected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestCase {
    /// The image it is of.
    pub image: String,
    /// The engine it was found out on; `None` where the archive alone tells.
    pub engine: Option<String>,
    /// What it is about.
    pub name: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Everything that was looked at and found as expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fine: Vec<Check>,
    /// What was printed, for who wants to know more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub seen: String,
}

/// A machine that was used.
#[derive(Clone, Debug, Serialize)]
pub struct EngineRun {
    /// The engine in it.
    pub engine: String,
    /// What its daemon says it is.
    pub version: String,
    /// What was true when, until it was ready.
    pub timeline: Vec<TimelineEvent>,
    /// Why it was booted although it should have been restored.
    pub fallback: Option<String>,
    /// How long loading the image took, in seconds.
    pub load_seconds: f64,
}

/// All that was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Every case, in order.
    pub cases: Vec<TestCase>,
    /// The machines that were used.
    pub machines: Vec<EngineRun>,
    /// How long all of it took, in seconds.
    pub seconds: f64,
}

/// How many cases ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// As expected.
    pub passed: usize,
    /// Not as expected.
    pub failed: usize,
    /// Not found out.
    pub errors: usize,
    /// Not looked at.
    pub skipped: usize,
}

impl TestCase {
    /// A case about `name` that ended as `look` has it.
    pub(super) fn ended(image: &str, name: impl Into<String>, look: Checks) -> Self {
        let Checks { fine, mismatches } = look;
        let outcome = match mismatches.is_empty() {
            true => Outcome::Passed,
            false => Outcome::Failed { mismatches },
        };
        Self {
            image: image.to_owned(),
            engine: None,
            name: name.into(),
            outcome,
            seconds: 0.0,
            fine,
            seen: String::new(),
        }
    }

    pub(super) fn on(mut self, engine: &str, took: Duration) -> Self {
        self.engine = Some(engine.to_owned());
        self.seconds = took.as_secs_f64();
        self
    }
}

impl Verdict {
    /// How many cases ended how.
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
}

/// Collects what is as expected, and what is not.
#[derive(Debug, Default)]
pub(super) struct Checks {
    fine: Vec<Check>,
    mismatches: Vec<Check>,
}

impl Checks {
    /// Notes what was looked at, and whether that was `fine`.
    pub(super) fn at(
        &mut self,
        what: &str,
        expected: impl ToString,
        found: impl ToString,
        fine: bool,
    ) {
        let (expected, found) = (expected.to_string(), found.to_string());
        let checks = if fine { &mut self.fine } else { &mut self.mismatches };
        checks.push(Check { what: what.to_owned(), expected, found });
    }

    /// Two things that should be the same.
    pub(super) fn same<T: PartialEq + Serialize>(&mut self, what: &str, expected: &T, found: &T) {
        self.at(what, value::format(expected), value::format(found), expected == found);
    }
}
