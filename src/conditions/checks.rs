//! Comparisons of expected values with those found.

use std::fmt::Display;

use serde::Serialize;

use crate::value;

/// A comparison of an expected value with the one found. Both are text for a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The property that was compared, such as `architecture`.
    pub subject: String,
    /// The expected value.
    pub expected: String,
    /// The value found.
    pub found: String,
}

/// Collects the checks of a test case.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    passed: Vec<Check>,
    mismatches: Vec<Check>,
    hints: Vec<String>,
}

impl Checks {
    /// Adds facts that help to find the reason of a failure, or to judge how reliable a pass is.
    pub(crate) fn hint(&mut self, hints: Vec<String>) {
        self.hints.extend(hints);
    }

    /// Records a check with its result.
    pub(crate) fn record(
        &mut self,
        subject: &str,
        expected: impl Display,
        found: impl Display,
        passed: bool,
    ) {
        let (expected, found) = (expected.to_string(), found.to_string());
        let checks = if passed { &mut self.passed } else { &mut self.mismatches };
        checks.push(Check { subject: subject.to_owned(), expected, found });
    }

    /// Adds all of `checks`.
    pub(crate) fn add(&mut self, checks: Self) {
        self.passed.extend(checks.passed);
        self.mismatches.extend(checks.mismatches);
        self.hints.extend(checks.hints);
    }

    /// Adds all of `checks`, with `subject` before their own subjects.
    pub(crate) fn append(&mut self, subject: &str, checks: Self) {
        let named = |check: Check| {
            let subject = format!("{} of {subject}", check.subject);
            Check { subject, ..check }
        };
        self.passed.extend(checks.passed.into_iter().map(named));
        self.mismatches.extend(checks.mismatches.into_iter().map(named));
        self.hints.extend(checks.hints);
    }

    /// Returns the checks that passed, those that did not, and the hints.
    pub(crate) fn into_parts(self) -> (Vec<Check>, Vec<Check>, Vec<String>) {
        (self.passed, self.mismatches, self.hints)
    }

    /// The checks that did not pass.
    pub(crate) fn mismatches(&self) -> &[Check] {
        &self.mismatches
    }

    /// Compares two values and records the check.
    pub(crate) fn expect_equal<T: PartialEq + Serialize>(
        &mut self,
        subject: &str,
        expected: &T,
        found: &T,
    ) {
        self.record(subject, value::format(expected), value::format(found), expected == found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_checks_keep_their_hints() {
        let (mut checks, mut of_file) = (Checks::default(), Checks::default());
        of_file.record("mode", "0644", "0600", false);
        of_file.hint(vec!["the umask is 077".to_owned()]);
        checks.append("/etc/app.conf", of_file);
        let (_, mismatches, hints) = checks.into_parts();
        assert_eq!(mismatches[0].subject, "mode of /etc/app.conf");
        assert_eq!(hints, ["the umask is 077"]);
    }
}
