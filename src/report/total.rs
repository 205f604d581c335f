//! A limit on the size of reports. Each value has a limit of its own; many of them together may
//! still be more than a browser or a CI system reads.

use crate::check::verdict::{Check, Description, Outcome, TestCase, Verdict};
use crate::text;

/// The most bytes that the values of a report have together.
const TOTAL_MAX: usize = 64 << 20;
/// The fewest bytes of a value that are kept.
const VALUE_MIN: usize = 1 << 10;

/// Shortens the longest values of `verdict`, so that all of them together have at most 64 MiB. Each
/// keeps its beginning and its end, and a sentence between them says how to get all of it.
pub fn limit_values(verdict: &mut Verdict) {
    limit_values_to(verdict, TOTAL_MAX);
}

fn limit_values_to(verdict: &mut Verdict, total: usize) {
    let lengths = verdict.cases.iter_mut().flat_map(|case| values(case).1).map(|value| value.len());
    let Some(max) = longest(lengths.collect(), total) else { return };
    for case in &mut verdict.cases {
        let (name, values) = values(case);
        let name = text::quote(name);
        for value in values.into_iter().filter(|value| value.len() > max) {
            value.shorten(max, &name);
        }
    }
}

/// Returns the length that the longest values may have, so that those with `lengths` have at most
/// `total` bytes together; `None` if they do.
fn longest(mut lengths: Vec<usize>, total: usize) -> Option<usize> {
    lengths.sort_unstable();
    let (mut left, mut count) = (total, lengths.len());
    for length in lengths {
        if length > left / count {
            return Some((left / count).max(VALUE_MIN));
        }
        left -= length;
        count -= 1;
    }
    None
}

/// Replaces the middle of `value`, which belongs to the test case called `name`, by a sentence.
fn shorten(value: &mut String, max: usize, name: &str) {
    let start = (0..=max / 2).rev().find(|end| value.is_char_boundary(*end)).unwrap_or_default();
    let rest = value.len() - max / 2;
    let rest = (rest..value.len()).find(|start| value.is_char_boundary(*start));
    let rest = rest.unwrap_or(value.len());
    let note = format!(
        " ... ({} bytes are left out, because all values together have more than {} MiB; check \
         --filter {name} reports this test case alone) ... ",
        rest - start,
        TOTAL_MAX >> 20
    );
    value.replace_range(start..rest, &note);
    value.shrink_to_fit();
}

/// A value that may be long.
enum Value<'v> {
    Text(&'v mut String),
    Description(&'v mut Description),
}

impl Value<'_> {
    /// The number of bytes in a report.
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Description(description) => description.to_string().len(),
        }
    }

    fn shorten(self, max: usize, name: &str) {
        match self {
            Self::Text(text) => shorten(text, max, name),
            Self::Description(description) => {
                let mut text = description.to_string();
                shorten(&mut text, max, name);
                *description = text.into();
            }
        }
    }
}

/// Returns the name of a test case, and all values that may be long.
fn values(case: &mut TestCase) -> (&str, Vec<Value<'_>>) {
    let TestCase { name, outcome, passed_checks, hints, output, stderr, .. } = case;
    let mut values: Vec<Value<'_>> =
        [output, stderr].into_iter().chain(hints).map(Value::Text).collect();
    let mismatches = match outcome {
        Outcome::Failed { mismatches } => mismatches.as_mut_slice(),
        Outcome::Error { problem: text } | Outcome::Skipped { reason: text } => {
            values.push(Value::Text(text));
            &mut []
        }
        Outcome::Passed => &mut [],
    };
    for Check { expected, found, .. } in mismatches.iter_mut().chain(passed_checks) {
        values.extend([expected, found].map(Value::Description));
    }
    (name, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, found: &str, output: &str) -> TestCase {
        let check =
            Check { subject: "log".to_owned(), expected: "contains x".into(), found: found.into() };
        TestCase {
            image: "app:1".to_owned(),
            engine: None,
            name: name.to_owned(),
            outcome: Outcome::Failed { mismatches: vec![check] },
            seconds: 0.0,
            passed_checks: Vec::new(),
            hints: Vec::new(),
            output: output.to_owned(),
            stderr: String::new(),
        }
    }

    fn found(case: &TestCase) -> String {
        let Outcome::Failed { mismatches } = &case.outcome else { panic!("{case:?}") };
        mismatches[0].found.to_string()
    }

    #[test]
    fn values_that_are_too_large_together_keep_their_beginning_and_end_and_say_so() {
        let long = format!("first{}last", "é".repeat(10_000));
        let cases = vec![case("run a", &long, "short"), case("run \"b\"", "y", &long)];
        let verdict = Verdict { cases, ..Verdict::default() };
        let mut limited = verdict.clone();
        limit_values_to(&mut limited, 100_000);
        assert_eq!(limited.cases, verdict.cases, "less than the limit");
        limit_values_to(&mut limited, 10_000);
        let [first, second] = &limited.cases[..] else { panic!() };
        assert_eq!((first.output.as_str(), found(second).as_str()), ("short", "y"));
        for (value, filter) in [
            (found(first), "--filter \"run a\" "),
            (second.output.clone(), r#"--filter "run \"b\"" "#),
        ] {
            assert!(value.starts_with("firsté") && value.ends_with("élast"), "{value}");
            assert!(value.contains(filter), "{value}");
            let (start, rest) = value.split_once(" ... (").unwrap();
            let (note, end) = rest.split_once(") ... ").unwrap();
            let left_out: usize = note.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(start.len() + left_out + end.len(), long.len());
            assert!(start.len() + end.len() <= 5_000, "{value}");
        }
    }

    #[test]
    fn the_longest_values_are_shortened_until_all_fit() {
        assert_eq!(longest(vec![3000, 2000, 9000], 14_000), None);
        assert_eq!(longest(vec![9000, 2000, 3000], 13_000), Some(8000));
        assert_eq!(longest(vec![9000, 2000, 9000], 10_000), Some(4000));
        assert_eq!(longest(vec![9000; 100], 10_000), Some(1024));
        assert_eq!(longest(Vec::new(), 0), None);
    }
}
