//! Values of environment variables in reports. Those of variables whose names suggest a secret are
//! hidden, because reports are kept and shown where the image is not.

use std::collections::BTreeMap;

use crate::check::verdict::Checks;
use crate::lint::{HIDDEN, is_hidden, is_secret};
use crate::text::Description;

/// Stands for a hidden value that is not the expected one.
const OTHER: &str = "<hidden>, another value";
/// The same, if the values are equal without the white space at their ends.
const PADDED: &str = "<hidden>, with other white space at its ends";
/// Stands for rules for a hidden value, and for one that does not meet them.
const RULES: [&str; 2] = ["meets <hidden> rules", "<hidden>, which does not"];

/// An expected value, as rules in words, and as the only value that meets them if there is one.
pub(super) type Expected<'e> = (Description, Option<&'e str>);

/// Formats the value of the variable `name`, or its absence.
pub(super) fn shown(name: &[u8], value: Option<&[u8]>) -> Description {
    match value {
        None => "nothing".into(),
        Some(value) if is_hidden(name, value) => HIDDEN.into(),
        Some(value) => Description::quote_bytes(value),
    }
}

/// Lists several values of a variable, in one line.
pub(super) fn list(values: impl Iterator<Item = Description>) -> Description {
    let values: Vec<String> = values.map(|value| value.to_string()).collect();
    format!("[{}]", values.join(", ")).into()
}

/// Records whether the variable `name` is as expected. If its value is hidden, so are the rules for
/// it, and a check that did not pass says how the values differ.
pub(super) fn record(
    checks: &mut Checks,
    name: &str,
    (rules, exactly): Expected<'_>,
    found: Option<&[u8]>,
    passed: bool,
) {
    let is_secret = exactly != Some("") && is_secret(name);
    let expected = match exactly {
        _ if !is_secret => rules,
        Some(_) => HIDDEN.into(),
        None => RULES[0].into(),
    };
    let found = match found {
        Some(found) if !passed && is_hidden(name.as_bytes(), found) => {
            difference(exactly, found).into()
        }
        found => shown(name.as_bytes(), found),
    };
    checks.record(name, expected, found, passed);
}

fn difference(expected: Option<&str>, found: &[u8]) -> &'static str {
    match expected.map(|expected| expected.as_bytes().trim_ascii() == found.trim_ascii()) {
        Some(true) => PADDED,
        Some(false) => OTHER,
        None => RULES[1],
    }
}

/// Records whether an environment has exactly the `expected` variables: in one check if it has, and
/// otherwise in one for each variable that differs.
pub(super) fn record_all(
    checks: &mut Checks,
    expected: &BTreeMap<&str, &str>,
    found: &BTreeMap<&str, &str>,
) {
    if expected == found {
        let hide =
            |(name, value): (&&str, &&str)| match is_hidden(name.as_bytes(), value.as_bytes()) {
                true => ((*name).to_owned(), HIDDEN.to_owned()),
                false => ((*name).to_owned(), (*value).to_owned()),
            };
        let shown = expected.iter().map(hide).collect::<BTreeMap<String, String>>();
        let shown = Description::of(shown);
        return checks.record("all variables", shown.clone(), shown, true);
    }
    for (name, value) in expected.iter().filter(|(name, value)| found.get(*name) != Some(*value)) {
        let found = found.get(name).map(|found| found.as_bytes());
        record(checks, name, (Description::quote(*value), Some(value)), found, false);
    }
    for (name, value) in found.iter().filter(|(name, _)| !expected.contains_key(*name)) {
        let shown = shown(name.as_bytes(), Some(value.as_bytes()));
        checks.record(name, "nothing", shown, false);
    }
}
