//! Checks of an environment: that of the config, or that of a process in a container.

use std::collections::BTreeMap;

use crate::check::expectations::EnvExpectations;
use crate::check::verdict::Checks;
use crate::harness::value;

/// Compares the environment of an image's config with `expected`.
pub(super) fn check_config(expected: &EnvExpectations, entries: &[String]) -> Checks {
    let mut checks = check(expected, entries);
    if let Some(exactly) = &expected.exactly {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in variables(entries) {
            found.insert(name.to_owned(), value.to_owned());
        }
        checks.expect_equal("all variables", exactly, &found);
    }
    checks
}

/// Compares an environment with `expected`, except for [`exactly`](EnvExpectations::exactly):
/// engines add variables of their own.
pub(in crate::check) fn check(expected: &EnvExpectations, entries: &[String]) -> Checks {
    let mut checks = Checks::default();
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in variables(entries) {
        found.entry(name).or_default().push(value);
    }
    if expected.unique != Some(false) {
        check_unique(&found, &mut checks);
    }
    // The last value is the one that Docker uses.
    let last = |name: &str| found.get(name).and_then(|values| values.last()).copied();
    for (name, value) in &expected.has {
        checks.expect_equal(name, &Some(value.as_str()), &last(name));
    }
    for name in &expected.absent {
        checks.expect_equal(name, &None, &last(name));
    }
    for (name, pattern) in &expected.matches {
        let value = last(name);
        let passed = value.is_some_and(|value| pattern.is_match(value));
        checks.record(name, format!("matches {pattern}"), value::format(value), passed);
    }
    checks
}

fn check_unique(found: &BTreeMap<&str, Vec<&str>>, checks: &mut Checks) {
    let duplicates = || found.iter().filter(|(_, values)| values.len() > 1);
    if duplicates().next().is_none() {
        checks.record("occurrences of each name", 1, 1, true);
    }
    for (name, values) in duplicates() {
        checks.record(&format!("values of {name}"), "one", value::format(values), false);
    }
}

fn variables(entries: &[String]) -> impl Iterator<Item = (&str, &str)> {
    entries.iter().map(|entry| entry.split_once('=').unwrap_or((entry, "")))
}
