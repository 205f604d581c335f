//! The results of the tests of a goss file in the container of a service.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::expectations::{GossTest, ServiceExpectations};
use crate::check::verdict::Checks;

/// The results of tests of a goss file.
#[derive(Default)]
pub(in crate::check::runtime_checks) struct TestResults {
    /// The checks of those that were made, by their positions in the file, and how long they took.
    pub made: BTreeMap<usize, (Checks, Duration)>,
    /// The reason why the engine cannot read files of the container.
    pub no_files: Option<String>,
}

impl TestResults {
    /// Returns the checks of the first failed test that needs a container which runs.
    pub(super) fn first_failed(&mut self, expected: &ServiceExpectations) -> Option<&mut Checks> {
        let needs_running =
            |index: &usize| expected.tests.get(*index).is_some_and(GossTest::needs_running);
        let mut results = self.made.iter_mut();
        let failed = results
            .find(|(index, (checks, _))| needs_running(index) && !checks.mismatches().is_empty());
        failed.map(|(_, (checks, _))| checks)
    }
}
