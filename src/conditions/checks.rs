//! Comparisons of expected values with those found.

use serde::Serialize;

use super::carriage_returns::CarriageReturns;
use super::text::Text;
use crate::text::Description;

/// The most bytes of a value in a check that did not pass: as many as the output of a container, an
/// answer or the content of a file may have.
const MISMATCH_MAX: usize = 16 << 20;
/// The most bytes of a value in a check that passed: nobody looks for the reason in it.
const PASSED_MAX: usize = 64 << 10;

/// A comparison of an expected value with the one found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The property that was compared, such as `architecture`.
    pub subject: String,
    /// The expected value.
    pub expected: Description,
    /// The value found.
    pub found: Description,
}

/// Collects the checks of a test case.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    passed: Vec<Check>,
    mismatches: Vec<Check>,
    hints: Vec<String>,
    problems: Vec<String>,
}

/// The checks of a test case, sorted by their results.
pub(crate) struct Results {
    /// The checks that passed.
    pub(crate) passed: Vec<Check>,
    /// Those that did not.
    pub(crate) mismatches: Vec<Check>,
    /// Facts about all of them.
    pub(crate) hints: Vec<String>,
    /// The reasons why others could not be made.
    pub(crate) problems: Vec<String>,
}

impl Checks {
    /// Adds facts that help to find the reason of a failure, or to judge how reliable a pass is.
    pub(crate) fn hint(&mut self, hints: Vec<String>) {
        self.hints.extend(hints);
    }

    /// Adds the reason why a check could not be made. The others count all the same.
    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Records a check with its result.
    pub(crate) fn record(
        &mut self,
        subject: &str,
        expected: impl Into<Description>,
        found: impl Into<Description>,
        passed: bool,
    ) {
        let (checks, max) = match passed {
            true => (&mut self.passed, PASSED_MAX),
            false => (&mut self.mismatches, MISMATCH_MAX),
        };
        let (expected, found) = (expected.into(), found.into().limit(max));
        checks.push(Check { subject: subject.to_owned(), expected, found });
    }

    /// Records whether `found` meets `rules`, with those that it does not meet.
    pub(crate) fn record_text(&mut self, subject: &str, rules: &Text, found: Option<&str>) {
        match found {
            None => self.record(subject, rules.in_words(), "nothing", false),
            Some(found) => self.record_output(subject, rules, found, CarriageReturns::Exact),
        }
    }

    /// Like [`record_text`](Self::record_text), for a text that has these carriage `returns`.
    pub(crate) fn record_output(
        &mut self,
        subject: &str,
        rules: &Text,
        found: &str,
        returns: CarriageReturns,
    ) {
        let unmet = rules.unmet(found, returns);
        self.hint(rules.hints(found, returns));
        let (shown, passed) = (rules.shown(found, returns), unmet.is_none());
        self.record(subject, unmet.unwrap_or_else(|| rules.in_words()), shown, passed);
    }

    /// Adds all of `checks`.
    pub(crate) fn add(&mut self, checks: Self) {
        self.passed.extend(checks.passed);
        self.mismatches.extend(checks.mismatches);
        self.hints.extend(checks.hints);
        self.problems.extend(checks.problems);
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
        self.problems.extend(checks.problems);
    }

    /// Returns the checks by their results.
    pub(crate) fn into_results(self) -> Results {
        let Self { passed, mismatches, hints, problems } = self;
        Results { passed, mismatches, hints, problems }
    }

    /// Whether all checks could be made, and passed.
    pub(crate) fn has_passed(&self) -> bool {
        self.mismatches.is_empty() && self.problems.is_empty()
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
        let passed = expected == found;
        self.record(subject, Description::of(expected), Description::of(found), passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_recorded_in_full_up_to_the_limits() {
        let record = |found: &str, passed| {
            let mut checks = Checks::default();
            checks.record("log", "contains x", found, passed);
            let Results { passed, mismatches, .. } = checks.into_results();
            passed.into_iter().chain(mismatches).next().unwrap().found.to_string()
        };
        let long = "é".repeat(8 << 20);
        assert_eq!(record(&long, false), long);
        assert_eq!(record(&(long.clone() + "!"), false), long.clone() + "... (1 more bytes)");
        assert_eq!(record(&long[..64 << 10], true), long[..64 << 10]);
        assert!(record(&long, true).ends_with("é... (16711680 more bytes)"));
    }

    #[test]
    fn a_text_is_recorded_with_the_rules_that_it_does_not_meet() {
        let rules = Text::containing("1").times(2);
        let mut checks = Checks::default();
        let found = [Some("1.1"), Some("1.2"), None];
        found.iter().for_each(|found| checks.record_text("label", &rules, *found));
        let Results { passed, mismatches, .. } = checks.into_results();
        assert_eq!(passed[0].expected, rules.in_words());
        let found: Vec<String> = mismatches.iter().map(|check| check.found.to_string()).collect();
        assert_eq!(found, ["\"1\" once in \"1.2\"", "nothing"]);
    }

    #[test]
    fn checks_have_not_passed_if_one_could_not_be_made() {
        let mut checks = Checks::default();
        checks.record("mode", "0644", "0644", true);
        assert!(checks.has_passed());
        checks.problem("the file was replaced while it was read".to_owned());
        assert!(!checks.has_passed());
    }

    #[test]
    fn appended_checks_keep_their_hints() {
        let (mut checks, mut of_file) = (Checks::default(), Checks::default());
        of_file.record("mode", "0644", "0600", false);
        of_file.hint(vec!["the umask is 077".to_owned()]);
        checks.append("/etc/app.conf", of_file);
        let Results { mismatches, hints, .. } = checks.into_results();
        assert_eq!(mismatches[0].subject, "mode of /etc/app.conf");
        assert_eq!(hints, ["the umask is 077"]);
    }
}
