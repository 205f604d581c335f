//! JUnit's XML, as continuous integration reads it: a suite for each image and engine.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCaseStatus, TestSuite};

use crate::check::verdict::{Outcome, TestCase, Verdict};

/// The report.
///
/// # Errors
/// When it cannot be written as XML.
pub fn xml(verdict: &Verdict) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("seatrial");
    report.set_time(Duration::from_secs_f64(verdict.seconds));
    let mut suites: Vec<TestSuite> = Vec::new();
    for case in &verdict.cases {
        let name = suite(case);
        if !suites.iter().any(|suite| suite.name.as_str() == name) {
            suites.push(TestSuite::new(name.as_str()));
        }
        if let Some(suite) = suites.iter_mut().find(|suite| suite.name.as_str() == name) {
            suite.add_test_case(test_case(case));
        }
    }
    report.add_test_suites(suites);
    Ok(without_skipped(&report.to_string()?))
}

/// The report without the count of what was skipped on its root, where the schema that Jenkins has does not know it; each
/// suite has its own.
fn without_skipped(xml: &str) -> String {
    let Some((head, rest)) = xml.split_once("<testsuites ") else { return xml.to_owned() };
    let (root, rest) = rest.split_once('>').unwrap_or((rest, ""));
    let kept: Vec<&str> =
        root.split(' ').filter(|attribute| !attribute.starts_with("skipped=")).collect();
    format!("{head}<testsuites {}>{rest}", kept.join(" "))
}

fn suite(case: &TestCase) -> String {
    format!("{} on {}", case.image, case.engine.as_deref().unwrap_or("no engine"))
}

fn test_case(case: &TestCase) -> quick_junit::TestCase {
    let failed = |kind, message: String| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(message).set_description(super::lines(case).join("\n"));
        status
    };
    let status = match &case.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed { mismatches } => {
            let what: Vec<&str> =
                mismatches.iter().map(|mismatch| mismatch.subject.as_str()).collect();
            failed(NonSuccessKind::Failure, format!("not as expected: {}", what.join(", ")))
        }
        Outcome::Error { problem } => {
            failed(NonSuccessKind::Error, problem.lines().next().unwrap_or_default().to_owned())
        }
        Outcome::Skipped { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            status
        }
    };
    let mut test_case = quick_junit::TestCase::new(case.name.as_str(), status);
    test_case.set_classname(suite(case)).set_time(Duration::from_secs_f64(case.seconds));
    if !case.output.is_empty() {
        test_case.set_system_out(case.output.as_str());
    }
    test_case
}
