//! Static checks: they compare expectations with the archive alone, without an engine.

mod config;
pub(super) mod environment;
mod file;

use std::path::Path;

use super::CheckError;
use super::expectations::Expectations;
use super::image::ImageUnderTest;
use super::verdict::TestCase;
use crate::archive::files;

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
            cases.push(TestCase::finished(&image, "config", checks));
        }
        let entries = self.image.config.config.env.clone().unwrap_or_default();
        let checks = environment::check_config(&expected.env, &entries);
        cases.push(TestCase::finished(&image, "environment of the config", checks));
        let paths: Vec<&str> = expected.file.iter().map(|file| file.path.as_str()).collect();
        let found = files::find(&self.image, &self.tree, &paths)?;
        for expected in &expected.file {
            let checks = file::check(expected, found.get(&expected.path));
            cases.push(TestCase::finished(&image, format!("file {}", expected.path), checks));
        }
        Ok(cases)
    }
}
