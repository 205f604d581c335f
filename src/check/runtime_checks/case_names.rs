//! The names of runtime test cases.

use std::collections::BTreeSet;

use super::service;
use crate::check::expectations::{Expectations, RunExpectations, ServiceExpectations};
use crate::check::verdict::TestCase;

/// The name of the test case about loading.
pub(in crate::check) const LOAD: &str = "loads with the expected name";
/// The name of the test case about the environment.
pub(in crate::check) const ENVIRONMENT: &str = "environment of a container";
/// The name of the test case about the commands before all others, if one of them fails.
pub(in crate::check) const SETUP: &str = "setup";

/// Returns the name of a test case about a command.
pub(in crate::check) fn run_name(run: &RunExpectations) -> String {
    format!("run {}", run.name)
}

/// Returns the name of a test case about a service.
pub(in crate::check) fn service_name(service: &ServiceExpectations) -> String {
    format!("service {}", service.name)
}

/// Returns the names of the test cases about parts of a service that not every engine can check.
/// Where an engine can, they belong to that of the service.
pub(in crate::check) fn part_names(service: &ServiceExpectations) -> impl Iterator<Item = String> {
    let name = service_name(service);
    service::parts(service).map(move |part| part_name(&name, part))
}

/// Returns the name of the test case about a part of the service whose test case is `service`.
pub(super) fn part_name(service: &str, part: &str) -> String {
    format!("{service}: {part}")
}

/// Returns the test case called `name`, and those about parts of it if it is about a service.
pub(in crate::check) fn with_parts(name: &str) -> impl Iterator<Item = String> {
    let is_service = name.starts_with("service ");
    let parts = service::PARTS.into_iter().filter(move |_| is_service);
    std::iter::once(name.to_owned()).chain(parts.map(move |part| part_name(name, part)))
}

/// Returns the name of a test case about a further container.
pub(in crate::check) fn companion_name(name: &str) -> String {
    format!("container {name}")
}

/// Whether other test cases are skipped if the one called `name` fails: a service is the container
/// of the tests of its goss file.
pub(in crate::check) fn is_prerequisite(name: &str) -> bool {
    name == SETUP || name.starts_with("container ") || name.starts_with("service ")
}

/// Returns all runtime checks of `expected` as skipped test cases, but for the tests of goss files
/// that are static checks without an engine: those that are not named by a service.
pub(in crate::check) fn all_skipped(
    image: &str,
    expected: &Expectations,
    reason: &str,
) -> Vec<TestCase> {
    let skipped = |name| TestCase::skipped(image, name, reason);
    let tests = |service: &ServiceExpectations| {
        let tests = service.tests.iter().filter(|test| !test.needs_running());
        tests.map(|test| service.test_name(test)).collect::<Vec<_>>()
    };
    let of_image = expected.service.iter().filter(|service| service.is_of_gossfile());
    let static_tests: BTreeSet<String> = of_image.flat_map(tests).collect();
    let is_skipped = |name: &String| !static_tests.contains(name);
    names(expected).into_iter().filter(is_skipped).map(skipped).collect()
}

/// Returns the names of all runtime test cases of `expected`.
pub(in crate::check) fn names(expected: &Expectations) -> Vec<String> {
    std::iter::once(LOAD.to_owned()).chain(container_cases(expected)).collect()
}

/// Returns the names of all test cases that need a container.
pub(super) fn container_cases(expected: &Expectations) -> impl Iterator<Item = String> {
    std::iter::once(ENVIRONMENT.to_owned()).chain(cases(expected))
}

/// Returns the names of all test cases about further containers, commands and services.
pub(super) fn cases(expected: &Expectations) -> impl Iterator<Item = String> {
    expected.container.keys().map(|name| companion_name(name)).chain(commands(expected))
}

/// Returns the names of all test cases about commands and services.
pub(super) fn commands(expected: &Expectations) -> impl Iterator<Item = String> {
    let runs = expected.run.iter().map(run_name);
    runs.chain(expected.service.iter().flat_map(service_cases))
}

/// Returns the names of the test cases about a service, and about the tests of its goss file.
pub(super) fn service_cases(service: &ServiceExpectations) -> impl Iterator<Item = String> {
    let own = service.has_own_case().then(|| service_name(service));
    own.into_iter().chain(service.tests.iter().map(|test| service.test_name(test)))
}
