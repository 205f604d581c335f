//! Reports of a verdict: for people at a terminal, for continuous integration, for a browser. They only draw.

pub mod html;
pub mod junit;
mod picture;
pub mod replays;
pub mod terminal;

use crate::check::verdict::{Outcome, Tally, TestCase};

/// The end of a report in one line.
pub fn tally(tally: Tally, seconds: f64) -> String {
    let Tally { passed, failed, errors, skipped } = tally;
    let part = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let parts = [
        Some(format!("{passed} passed")),
        part(failed, "failed"),
        part(errors, "not found out"),
        part(skipped, "skipped"),
    ];
    format!("{} in {seconds:.1} s", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// What there is to say of a case that did not pass, line by line.
fn lines(case: &TestCase) -> Vec<String> {
    match &case.outcome {
        Outcome::Passed => Vec::new(),
        Outcome::Error { problem } => problem.lines().map(str::to_owned).collect(),
        Outcome::Skipped { reason } => vec![reason.clone()],
        Outcome::Failed { mismatches } => mismatches
            .iter()
            .flat_map(|m| {
                [
                    m.subject.clone(),
                    format!("  expected  {}", m.expected),
                    format!("  found     {}", m.found),
                ]
            })
            .collect(),
    }
}
