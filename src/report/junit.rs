//! Reports as JUnit XML for CI systems: a test suite for each image and engine, and one for the
//! checks of the image alone.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCaseStatus, TestSuite};

use crate::check::verdict::{Check, Outcome, TestCase, Verdict};
use crate::text;

/// The name of the test suite for skipped test cases that make the run fail.
const DENIED_SKIPS: &str = "--deny-skips";

/// Formats a verdict as JUnit XML. If skipped test cases make the run fail, a test suite of its own
/// has that failure.
///
/// # Errors
/// If a text cannot be represented in XML.
pub fn xml(verdict: &Verdict) -> Result<String, SerializeError> {
    let mut report = Report::new("seatrial");
    report.set_time(Duration::from_secs_f64(verdict.seconds));
    let mut suites: Vec<TestSuite> = Vec::new();
    for case in &verdict.cases {
        let name = suite_name(case);
        let index = suites.iter().position(|suite| suite.name.as_str() == name);
        let index = index.unwrap_or_else(|| {
            suites.push(TestSuite::new(name.as_str()));
            suites.len() - 1
        });
        suites[index].add_test_case(test_case(case));
    }
    report.add_test_suites(suites);
    if verdict.fails_by_skips() {
        report.add_test_suite(denied_skips(verdict));
    }
    Ok(remove_total_skipped(&report.to_string()?))
}

/// Removes the attribute `skipped` of the root element, which Jenkins' schema does not allow. Each
/// test suite has its own.
fn remove_total_skipped(xml: &str) -> String {
    let Some((head, rest)) = xml.split_once("<testsuites ") else { return xml.to_owned() };
    let (attributes, rest) = rest.split_once('>').unwrap_or((rest, ""));
    let attributes: Vec<&str> =
        attributes.split(' ').filter(|attribute| !attribute.starts_with("skipped=")).collect();
    format!("{head}<testsuites {}>{rest}", attributes.join(" "))
}

fn suite_name(case: &TestCase) -> String {
    let image = text::escape(&case.image);
    match case.engine {
        Some(_) => format!("{image} on {}", super::column(case)),
        None => format!("{image} ({})", super::column(case)),
    }
}

/// A test suite of one failure, because CI systems do not count skipped test cases as failures.
fn denied_skips(verdict: &Verdict) -> TestSuite {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let reason = |case: &TestCase| match &case.outcome {
        Outcome::Skipped { reason } => {
            let (suite, name) = (suite_name(case), text::escape(&case.name));
            Some(format!("{suite}: {name}: {}", text::excerpt(reason)))
        }
        _ => None,
    };
    let reasons: Vec<String> = verdict.cases.iter().filter_map(reason).collect();
    let s = if reasons.len() == 1 { " was" } else { "s were" };
    status.set_message(format!("{} test case{s} skipped (--deny-skips)", reasons.len()));
    status.set_description(reasons.join("\n"));
    let mut test_case = quick_junit::TestCase::new("no skipped test cases", status);
    test_case.set_classname(DENIED_SKIPS).set_time(Duration::ZERO);
    let mut suite = TestSuite::new(DENIED_SKIPS);
    suite.add_test_case(test_case);
    suite
}

/// The first mismatch, which is all that lists of CI systems show, and the number of the others.
fn message(mismatches: &[Check]) -> String {
    let Some(Check { subject, expected, found }) = mismatches.first() else {
        return String::new();
    };
    let [expected, found] = [expected, found].map(ToString::to_string);
    let [subject, expected, found] = [subject, &expected, &found].map(|text| text::shorten(text));
    let first = format!("{subject}: expected {expected}, found {found}");
    match mismatches.len() - 1 {
        0 => first,
        more => format!("{first} (and {more} more)"),
    }
}

fn test_case(case: &TestCase) -> quick_junit::TestCase {
    let not_passed = |kind, message: String| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(message).set_description(super::full_explanation(case).join("\n"));
        status
    };
    let status = match &case.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed { mismatches } => not_passed(NonSuccessKind::Failure, message(mismatches)),
        Outcome::Error { problem } => {
            let first_line = problem.lines().next().unwrap_or_default();
            not_passed(NonSuccessKind::Error, text::excerpt(first_line).into_owned())
        }
        Outcome::Skipped { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(text::excerpt(reason).as_ref());
            status
        }
    };
    let mut test_case = quick_junit::TestCase::new(text::escape(&case.name).as_ref(), status);
    test_case.set_classname(suite_name(case)).set_time(Duration::from_secs_f64(case.seconds));
    if !case.output.is_empty() {
        test_case.set_system_out(text::lines(&case.output).as_ref());
    }
    if !case.stderr.is_empty() {
        test_case.set_system_err(text::lines(&case.stderr).as_ref());
    }
    test_case
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(image: &str, engine: Option<&str>, name: &str, outcome: Outcome) -> TestCase {
        let engine = engine.map(str::to_owned);
        TestCase { engine, ..TestCase::with_outcome(image, name, outcome) }
    }

    fn xml_of(cases: Vec<TestCase>) -> String {
        xml(&Verdict { cases, ..Verdict::default() }).unwrap()
    }

    #[test]
    fn each_image_has_a_test_suite_for_each_engine() {
        let error = || Outcome::Error { problem: "no QEMU".to_owned() };
        let skipped = || Outcome::Skipped { reason: "no init".to_owned() };
        let (docker, podman) = (Some("docker-28"), Some("podman-5.4"));
        let xml = xml_of(vec![
            case("app:1", None, "config", Outcome::Passed),
            case("app:1", docker, "run x", Outcome::Passed),
            case("app:1", docker, "run y", skipped()),
            case("app:1", podman, "run x", error()),
            case("app:1", podman, "run y", Outcome::Passed),
            case("other:2", docker, "run x", Outcome::Passed),
            case("other:2", podman, "run x", Outcome::Passed),
            // Engines that run side by side may end in any order.
            case("app:1", docker, "run z", Outcome::Passed),
        ]);
        let suite = |line: &&str| line.trim_start().starts_with("<testsuite ");
        let suites: Vec<&str> = xml.lines().filter(suite).map(str::trim_start).collect();
        let expected = [
            ("app:1 (image only)", 1, 0, 0),
            ("app:1 on docker-28", 3, 1, 0),
            ("app:1 on podman-5.4", 2, 0, 1),
            ("other:2 on docker-28", 1, 0, 0),
            ("other:2 on podman-5.4", 1, 0, 0),
        ]
        .map(|(name, tests, skipped, errors)| {
            format!(
                "<testsuite name=\"{name}\" tests=\"{tests}\" skipped=\"{skipped}\" \
                 errors=\"{errors}\" failures=\"0\">"
            )
        });
        assert_eq!(suites, expected, "{xml}");
        assert_eq!(xml.matches("classname=\"app:1 on docker-28\"").count(), 3, "{xml}");
        let of_podman = xml.split_once("<testsuite name=\"app:1 on podman-5.4\"").unwrap().1;
        let of_podman = of_podman.split("</testsuite>").next().unwrap();
        assert!(of_podman.contains("<error message=\"no QEMU\""), "{xml}");
    }

    #[test]
    fn names_are_complete_and_values_of_several_lines_have_lines() {
        let (image, name) = ("i".repeat(400), format!("run {}", "n".repeat(3000)));
        let found = crate::check::verdict::Description::quote("line one\nline 2\n");
        let check = Check { subject: "s".repeat(300), expected: "x".into(), found };
        let outcome = Outcome::Failed { mismatches: vec![check] };
        let xml = xml_of(vec![case(&image, Some("docker-28"), &name, outcome)]);
        assert!(xml.contains(&format!("<testcase name=\"{name}\"")), "{xml}");
        assert!(xml.contains(&format!("<testsuite name=\"{image} on docker-28\"")), "{xml}");
        let lines =
            format!("{}\n  expected  x\n  found\n    line one\n    line 2", "s".repeat(300));
        assert!(xml.contains(&lines), "{xml}");
    }

    #[test]
    fn a_message_has_the_first_mismatch_and_the_number_of_the_others() {
        let check = |subject: &str| Check {
            subject: subject.to_owned(),
            expected: "ready within 60 s".into(),
            found: "no connection".into(),
        };
        let first = "service: expected ready within 60 s, found no connection";
        assert_eq!(message(&[check("service")]), first);
        assert_eq!(message(&[check("service"), check("log")]), format!("{first} (and 1 more)"));
    }
}
