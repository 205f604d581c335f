//! Checks of an environment: that of the config, or that of a process in a container. Values are
//! bytes, which need not be UTF-8.

use std::collections::BTreeMap;

use crate::check::expectations::EnvExpectations;
use crate::check::secret_values;
use crate::check::verdict::Checks;
use crate::text::{self, Description};

/// Compares the environment of an image's config with `expected`.
pub(in crate::check) fn check_config(expected: &EnvExpectations, entries: &[String]) -> Checks {
    let mut checks = check(expected, entries);
    if let Some(exactly) = &expected.exactly {
        let pairs = entries.iter().map(|entry| entry.split_once('=').unwrap_or((entry, "")));
        let found: BTreeMap<&str, &str> = pairs.collect();
        let wanted = exactly.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        secret_values::record_all(&mut checks, &wanted, &found);
    }
    for name in &expected.absent_from_config {
        let mut values = entries.iter().map(|entry| split(entry.as_bytes()));
        let found = values.find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value);
        checks.record(name, "nothing", shown(name, found), found.is_none());
    }
    checks
}

fn shown(name: &str, value: Option<&[u8]>) -> Description {
    secret_values::shown(name.as_bytes(), value)
}

/// Compares an environment with `expected`, except for [`exactly`](EnvExpectations::exactly):
/// engines add variables of their own.
pub(in crate::check) fn check<T: AsRef<[u8]>>(expected: &EnvExpectations, entries: &[T]) -> Checks {
    let mut checks = Checks::default();
    let mut found: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    for (name, value) in entries.iter().map(|entry| split(entry.as_ref())) {
        found.entry(name).or_default().push(value);
    }
    if expected.unique != Some(false) {
        check_unique(&found, &mut checks);
    }
    // The last value is the one that Docker uses.
    let last = |name: &str| found.get(name.as_bytes()).and_then(|values| values.last()).copied();
    for (name, value) in &expected.has {
        let found = last(name);
        let text = found.and_then(|found| str::from_utf8(found).ok());
        let unmet = text.map_or(Some(value.in_words()), |text| value.unmet_by(text));
        let passed = unmet.is_none();
        let expected = (unmet.unwrap_or_else(|| value.in_words()), value.exactly());
        secret_values::record(&mut checks, name, expected, found, passed);
    }
    for name in &expected.absent {
        let found = last(name);
        checks.record(name, "nothing", shown(name, found), found.is_none());
    }
    for (name, pattern) in &expected.matches {
        let found = last(name);
        let value = found.map(String::from_utf8_lossy);
        let passed = value.is_some_and(|value| pattern.is_match(&value));
        let expected = (format!("matches {pattern}").into(), None);
        secret_values::record(&mut checks, name, expected, found, passed);
    }
    checks
}

fn check_unique(found: &BTreeMap<&[u8], Vec<&[u8]>>, checks: &mut Checks) {
    let duplicates = || found.iter().filter(|(_, values)| values.len() > 1);
    if duplicates().next().is_none() {
        checks.record("occurrences of each name", "1", "1", true);
    }
    for (name, values) in duplicates() {
        let values = values.iter().map(|value| secret_values::shown(name, Some(value)));
        let subject = format!("values of {}", text::bytes(name));
        checks.record(&subject, "one", secret_values::list(values), false);
    }
}

/// Splits an entry at its first `=` into name and value. Without a `=`, the value is empty.
pub(in crate::check) fn split(entry: &[u8]) -> (&[u8], &[u8]) {
    match entry.iter().position(|byte| *byte == b'=') {
        Some(position) => (&entry[..position], &entry[position + 1..]),
        None => (entry, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::verdict::{Outcome, TestCase};

    /// The mismatches of an environment.
    fn mismatches(expected: &str, entries: &[&[u8]]) -> Vec<String> {
        let expected: EnvExpectations = toml::from_str(expected).unwrap();
        let case = TestCase::finished("app", "env", check(&expected, entries));
        let Outcome::Failed { mismatches } = case.outcome else { return Vec::new() };
        let line = |check: &crate::check::verdict::Check| {
            format!("{}: expected {}, found {}", check.subject, check.expected, check.found)
        };
        mismatches.iter().map(line).collect()
    }

    #[test]
    fn values_with_line_breaks_equal_signs_and_nothing_are_compared_as_a_whole() {
        let entries: [&[u8]; 4] = [b"A=one\nB=two", b"C=x=y=", b"D=", b"E==\n"];
        let expected = "has = { A = \"one\\nB=two\", C = 'x=y=', D = '', E = \"=\\n\" }\n\
                        absent = ['B', 'x']";
        assert_eq!(mismatches(expected, &entries), [""; 0]);
        assert_eq!(
            mismatches("has = { A = 'one' }\nabsent = ['D']", &entries),
            [r#"A: expected "one", found "one\nB=two""#, r#"D: expected nothing, found """#]
        );
    }

    #[test]
    fn a_value_that_is_not_utf_8_equals_no_text_and_is_shown_with_its_bytes() {
        let entries: [&[u8]; 2] = [b"A=\xff", b"A=\xfe"];
        assert_eq!(
            mismatches("has = { A = \"\u{fffd}\" }", &entries),
            [
                r#"values of A: expected one, found ["\xff", "\xfe"]"#,
                "A: expected \"\u{fffd}\", found \"\\xfe\"",
            ]
        );
    }
}
