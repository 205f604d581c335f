//! Reports the tests of goss files. Those about files, users, groups and packages look at the image
//! if there is no container, unless a service of an expectations file names the goss file: then
//! only its container has the settings that they are about.

use std::time::Instant;

use super::RuntimeChecks;
use super::output::Output;
use super::service::TestResults;
use super::unmade::Unmade;
use crate::check::expectations::{GossTest, PropertyExpectations, ServiceExpectations};
use crate::check::static_checks::goss::SKIPPED;
use crate::check::verdict::{Checks, TestCase};
use crate::text::errors::chain;

impl RuntimeChecks<'_, '_> {
    /// Reports the tests of the goss file of `service`, of which `results` has those that were
    /// made.
    pub(super) fn report_tests(
        &mut self,
        service: &ServiceExpectations,
        mut results: TestResults,
        unmade: &Unmade,
    ) {
        let no_files = results.no_files.unwrap_or(unmade.reason.clone());
        for (index, test) in service.tests.iter().enumerate() {
            let name = service.test_name(test);
            match (results.made.remove(&index), test) {
                (Some((checks, duration)), _) => {
                    let findings = Ok((checks, Output::default()));
                    self.finish_after(name, findings, duration, Vec::new());
                }
                (None, GossTest { expected: None, .. }) => self.skip(name, SKIPPED),
                (None, test) => match test.properties() {
                    Some(expected) if service.is_of_gossfile() => {
                        self.check_image(name, expected, &no_files);
                    }
                    Some(_) => self.skip(name, &no_files),
                    None => self.skip(name, &unmade.reason),
                },
            }
        }
    }

    /// Makes a test with the image, and says why it was not made with a container.
    fn check_image(&mut self, name: String, expected: &PropertyExpectations, reason: &str) {
        let begin = Instant::now();
        let case = match self.image_under_test.check_properties(&[expected]) {
            Ok(checks) => {
                let mut all = Checks::default();
                checks.into_iter().for_each(|checks| all.add(checks));
                all.hint(vec![format!("the image alone was checked, not a container: {reason}")]);
                TestCase::finished(self.image.reference(), name, all)
            }
            Err(error) => TestCase::error(self.image.reference(), name, chain(&error)),
        };
        self.report(case.on_engine(self.engine, begin.elapsed()));
    }
}
