//! Reports the tests of goss files. Those about files, users, groups and packages look at the image
//! if there is no container, unless a service of an expectations file names the goss file: then
//! only its container has the settings that they are about.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::RuntimeChecks;
use super::output::Output;
use super::service::TestResults;
use crate::check::comparison::goss::SKIPPED;
use crate::check::expectations::{GossTest, PropertyExpectations, ServiceExpectations};
use crate::check::verdict::{Checks, TestCase};
use crate::text::errors::chain;

impl RuntimeChecks<'_, '_> {
    /// Reports the tests of the goss file of `service`, of which `results` has those that were
    /// made. The others are skipped for the reason `not_run`.
    pub(super) fn report_tests(
        &mut self,
        service: &ServiceExpectations,
        mut results: TestResults,
        not_run: &str,
    ) {
        let no_files = results.no_files.unwrap_or_else(|| not_run.to_owned());
        let mut of_image = self.checks_of_image(service, &results.made, &no_files);
        for (index, test) in service.tests.iter().enumerate() {
            let name = service.test_name(test);
            match (results.made.remove(&index), test) {
                (Some((checks, duration)), _) => {
                    let findings = Ok((checks, Output::default()));
                    self.finish_after(name, findings, duration, Vec::new());
                }
                (None, GossTest { expected: None, .. }) => self.skip(name, SKIPPED),
                (None, test) => match (of_image.remove(&index), test.properties()) {
                    (Some(case), _) => self.report(case),
                    (None, Some(_)) => self.skip(name, &no_files),
                    (None, None) => self.skip(name, not_run),
                },
            }
        }
    }

    /// Makes those tests with the image that were not made with a container, and says why. All of
    /// them are made together, so that the layers are not read for each.
    fn checks_of_image(
        &self,
        service: &ServiceExpectations,
        made: &BTreeMap<usize, (Checks, Duration)>,
        reason: &str,
    ) -> BTreeMap<usize, TestCase> {
        let needed = |(index, test): (usize, &GossTest)| {
            let is_needed = service.is_of_gossfile() && !made.contains_key(&index);
            test.properties().is_some().then_some(index).filter(|_| is_needed)
        };
        let indexes: Vec<usize> = service.tests.iter().enumerate().filter_map(needed).collect();
        let tests = indexes.iter().filter_map(|index| service.tests[*index].properties());
        let tests: Vec<&PropertyExpectations> = tests.collect();
        if tests.is_empty() {
            return BTreeMap::new();
        }
        let (begin, image) = (Instant::now(), self.image.reference());
        let checks = self.image_under_test.check_properties(&tests).map_err(|error| chain(&error));
        let mut checks = checks.map(Vec::into_iter);
        let share = begin.elapsed() / tests.len() as u32;
        let case = |index: usize| {
            let name = service.test_name(&service.tests[index]);
            let case = match checks.as_mut().map(Iterator::next) {
                Ok(checks) => {
                    let mut checks = checks.unwrap_or_default();
                    let hint = format!("the image alone was checked, not a container: {reason}");
                    checks.hint(vec![hint]);
                    TestCase::finished(image, name, checks)
                }
                Err(problem) => TestCase::error(image, name, problem.clone()),
            };
            (index, case.on_engine(self.engine, share))
        };
        indexes.into_iter().map(case).collect()
    }
}
