//! Test cases as the parts of a page see them: numbered, with a kind of result and a column.

use std::collections::BTreeMap;

use crate::check::verdict::{Outcome, TestCase};
use crate::report;

/// A test case with its number in the verdict.
pub(super) type NumberedCase<'a> = (usize, &'a TestCase);

/// The column of a test case.
pub(super) fn column<'a>((_, case): &NumberedCase<'a>) -> &'a str {
    report::column(case)
}

/// The kind of a result, better ones first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Passed,
    Skipped,
    Failed,
    Error,
}

impl Kind {
    pub(super) fn of(case: &TestCase) -> Self {
        match case.outcome {
            Outcome::Passed => Self::Passed,
            Outcome::Skipped { .. } => Self::Skipped,
            Outcome::Failed { .. } => Self::Failed,
            Outcome::Error { .. } => Self::Error,
        }
    }

    /// The name, which is the CSS class too.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }

    /// The sign in the matrix.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Passed => "✓",
            Self::Skipped => "–",
            Self::Failed => "✗",
            Self::Error => "!",
        }
    }
}

/// Test cases that did not pass, those with the same result on several engines together.
pub(super) struct Explained {
    /// The number of the test case that stands for the one with this number.
    places: BTreeMap<usize, usize>,
}

impl Explained {
    pub(super) fn new(cases: &[NumberedCase<'_>]) -> Self {
        let mut places = BTreeMap::new();
        let mut first: Vec<NumberedCase<'_>> = Vec::new();
        for (number, case) in cases.iter().filter(|(_, case)| Kind::of(case) >= Kind::Failed) {
            let same = first.iter().find(|(_, other)| report::is_same_failure(case, other));
            places.insert(*number, same.map_or(*number, |(place, _)| *place));
            if same.is_none() {
                first.push((*number, case));
            }
        }
        Self { places }
    }

    /// The number of the test case that explains the one with this number.
    pub(super) fn place_of(&self, number: usize) -> usize {
        self.places.get(&number).copied().unwrap_or(number)
    }
}
