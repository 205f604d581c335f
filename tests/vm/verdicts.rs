//! Parts of verdicts in JSON.

use serde_json::Value;

/// Returns the test case called `name`.
pub fn case<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    let mut cases = verdict["cases"].as_array().unwrap().iter();
    cases.find(|case| case["name"] == name).unwrap_or_else(|| panic!("no {name} in {verdict:#}"))
}

/// Replaces the time in the only mismatch.
pub fn without_durations(mismatches: &[String]) -> String {
    let [mismatch] = mismatches else { panic!("{mismatches:?}") };
    let Some((start, end)) = mismatch.split_once(" after ") else { return mismatch.clone() };
    format!("{start} after N s{}", end.split_once(" s").map_or("", |(_, end)| end))
}

/// Returns the subjects and found values of a test case's mismatches.
pub fn mismatches(verdict: &Value, name: &str) -> Vec<String> {
    let case = case(verdict, name);
    let mismatches = case["mismatches"].as_array().unwrap_or_else(|| panic!("{case:#}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let line = |check: &Value| format!("{}: {}", text(&check["subject"]), text(&check["found"]));
    mismatches.iter().map(line).collect()
}
