//! The reasons why test cases were skipped: those with the same reason together.

use super::{column, unique};
use crate::check::verdict::{Outcome, TestCase};

/// Test cases that were skipped for the same reason on the same engines.
#[derive(Debug, PartialEq)]
pub(super) struct Skips<'a> {
    /// The names of the test cases.
    pub(super) names: Vec<&'a str>,
    /// The engines, or `image only`.
    pub(super) columns: Vec<&'a str>,
    pub(super) reason: &'a str,
}

/// Returns the skipped ones among `cases`, which are those of an image.
pub(super) fn skips<'a>(cases: impl Iterator<Item = &'a TestCase>) -> Vec<Skips<'a>> {
    let skipped: Vec<(&TestCase, &str)> = cases
        .filter_map(|case| match &case.outcome {
            Outcome::Skipped { reason } => Some((case, reason.as_str())),
            _ => None,
        })
        .collect();
    let mut skips: Vec<Skips<'a>> = Vec::new();
    for (case, reason) in &skipped {
        let same = skipped.iter().filter(|other| (&other.0.name, other.1) == (&case.name, *reason));
        let columns = unique(same.map(|(case, _)| column(case)));
        match skips.iter_mut().find(|known| known.reason == *reason && known.columns == columns) {
            Some(known) if known.names.contains(&case.name.as_str()) => {}
            Some(known) => known.names.push(&case.name),
            None => skips.push(Skips { names: vec![&case.name], columns, reason }),
        }
    }
    skips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_with_the_same_reason_on_the_same_engines_are_together() {
        let case = |engine: &str, name: &str, reason: &str| TestCase {
            image: "app:1".to_owned(),
            engine: Some(engine.to_owned()),
            name: name.to_owned(),
            outcome: Outcome::Skipped { reason: reason.to_owned() },
            seconds: 0.0,
            passed_checks: Vec::new(),
            hints: Vec::new(),
            output: String::new(),
            stderr: String::new(),
        };
        let cases = [
            case("podman-4.3", "run x", "no init"),
            case("podman-4.3", "run y", "no init"),
            case("podman-4.3", "run z", "no init"),
            case("podman-5.4", "run x", "no init"),
            case("podman-5.4", "run y", "other"),
            case("podman-5.4", "run z", "no init"),
        ];
        let expected = [
            (vec!["run x", "run z"], vec!["podman-4.3", "podman-5.4"], "no init"),
            (vec!["run y"], vec!["podman-4.3"], "no init"),
            (vec!["run y"], vec!["podman-5.4"], "other"),
        ]
        .map(|(names, columns, reason)| Skips { names, columns, reason });
        assert_eq!(skips(cases.iter()), expected);
    }
}
