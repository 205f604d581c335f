//! Static checks: they compare expectations with the archive alone, without an engine.

mod config;
pub(super) mod environment;
mod file;

use std::path::Path;

use super::CheckError;
use super::expectations::{Expectations, FileExpectations};
use super::image::ImageUnderTest;
use super::verdict::TestCase;
use crate::archive::files;

/// The name of the test case about the image's config.
const CONFIG: &str = "config";
/// The name of the test case about the environment.
const ENVIRONMENT: &str = "environment of the config";
/// The name of the test case about a second build.
pub(super) const REPRODUCIBLE: &str = "reproducible build";

fn file_name(file: &FileExpectations) -> String {
    format!("file {}", file.path)
}

/// Returns the names of all static test cases of `expected`.
pub(super) fn names(expected: &Expectations) -> Vec<String> {
    let config = (!expected.image.is_empty()).then_some(CONFIG);
    let reproducible = (expected.image.reproducible == Some(true)).then_some(REPRODUCIBLE);
    let fixed = config.into_iter().chain([ENVIRONMENT]).chain(reproducible).map(str::to_owned);
    fixed.chain(expected.file.iter().map(file_name)).collect()
}

impl ImageUnderTest {
    /// Runs all static checks of `expected`. Paths of other images are relative to `folder`.
    ///
    /// # Errors
    /// If a layer or another image cannot be read.
    pub fn static_checks(
        &self,
        expected: &Expectations,
        folder: &Path,
    ) -> Result<Vec<TestCase>, CheckError> {
        let image = self.name();
        let mut cases = Vec::new();
        if !expected.image.is_empty() {
            let checks = config::check(self, &expected.image, folder)?;
            cases.push(TestCase::finished(&image, CONFIG, checks));
        }
        let entries = self.image.config.config.env.clone().unwrap_or_default();
        let checks = environment::check_config(&expected.env, &entries);
        cases.push(TestCase::finished(&image, ENVIRONMENT, checks));
        let paths: Vec<&str> = expected.file.iter().map(|file| file.path.as_str()).collect();
        let found = files::find(&self.image, &self.tree, &paths)?;
        for expected in &expected.file {
            let checks = file::check(expected, found.get(&expected.path));
            cases.push(TestCase::finished(&image, file_name(expected), checks));
        }
        Ok(cases)
    }
}
