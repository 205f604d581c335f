//! Static checks: they compare expectations with the archive alone, without an engine.

mod config;
pub(super) mod environment;
pub(in crate::check) mod file;
mod goss;
mod license;
mod packages;

use std::collections::BTreeMap;
use std::path::Path;

use super::CheckError;
use super::expectations::{Expectations, FileExpectations};
use super::image::ImageUnderTest;
use super::verdict::{Checks, TestCase};
use crate::archive::entry::{join, name_of, parent_of};
use crate::archive::files::{self, FileInfo};
use crate::archive::resolve::resolve;
use crate::archive::tree::Node;
use crate::harness::HarnessError;

/// The name of the test case about the image's config.
const CONFIG: &str = "config";
/// The name of the test case about the environment.
const ENVIRONMENT: &str = "environment of the config";
/// The name of the test case about a second build.
pub(super) const REPRODUCIBLE: &str = "reproducible build";

fn file_name(file: &FileExpectations) -> String {
    format!("file {}", file.name.as_ref().unwrap_or(&file.path))
}

/// Returns the names of all static test cases of `expected`.
pub(super) fn names(expected: &Expectations) -> Vec<String> {
    let config = (!expected.image.is_empty()).then_some(CONFIG);
    let reproducible = (expected.image.reproducible == Some(true)).then_some(REPRODUCIBLE);
    let fixed = config.into_iter().chain([ENVIRONMENT]).chain(reproducible).map(str::to_owned);
    let licenses = expected.license.iter().map(|license| license.name.clone());
    let goss = expected.goss.iter().map(|goss| goss.name.clone());
    let files = expected.file.iter().map(file_name);
    let skipped = expected.skipped.iter().cloned();
    fixed.chain(files).chain(licenses).chain(goss).chain(skipped).collect()
}

/// Returns the test case with the result of `checks`. A file that is too large for them is an error
/// of the test case alone.
fn finished(
    image: &str,
    name: &str,
    checks: Result<Checks, CheckError>,
) -> Result<TestCase, CheckError> {
    match checks {
        Ok(checks) => Ok(TestCase::finished(image, name, checks)),
        Err(CheckError::Harness(error @ HarnessError::FileTooLarge { .. })) => {
            Ok(TestCase::error(image, name, error.to_string()))
        }
        Err(error) => Err(error),
    }
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
        let paths: Vec<String> = expected.file.iter().map(|file| self.path_of(file)).collect();
        let found = self.find(&paths)?;
        for (expected, path) in expected.file.iter().zip(&paths) {
            let checks = file::check(expected, found.get(path)).map_err(Into::into);
            cases.push(finished(&image, &file_name(expected), checks)?);
        }
        for expected in &expected.license {
            let checks = license::check(self, expected);
            cases.push(finished(&image, &expected.name, checks)?);
        }
        if !expected.goss.is_empty() {
            let accounts = goss::Accounts::read(self)?;
            let packages = packages::Packages::read(self, &expected.goss)?;
            for expected in &expected.goss {
                cases.push(match expected.skip {
                    true => TestCase::skipped(&image, &expected.name, goss::SKIPPED),
                    false => {
                        let checks = goss::check(self, &accounts, &packages, expected);
                        finished(&image, &expected.name, checks)?
                    }
                });
            }
        }
        let skipped = expected.skipped.iter();
        cases.extend(skipped.map(|name| TestCase::skipped(&image, name, goss::SKIPPED)));
        Ok(cases)
    }

    /// Finds `paths` in the image. Symlinks in parent folders are followed.
    pub(in crate::check) fn find(
        &self,
        paths: &[String],
    ) -> Result<BTreeMap<String, FileInfo>, CheckError> {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        Ok(files::find(&self.image, &self.tree, &paths)?)
    }

    /// The path of an expected file, with a symlink at the path itself replaced by its target if
    /// that is asked for.
    fn path_of(&self, file: &FileExpectations) -> String {
        match file.follow {
            true => self.target_of(&file.path),
            false => file.path.clone(),
        }
    }

    /// The path to which symlinks at `path` lead; `path` itself if they lead nowhere.
    pub(in crate::check) fn target_of(&self, path: &str) -> String {
        let mut path = path.to_owned();
        // As many symlinks as Linux follows.
        for _ in 0..40 {
            let parent = parent_of(path.trim_end_matches('/').as_bytes());
            let node = |path: &[u8]| self.tree.get(path);
            let Ok(folder) = resolve(parent, node) else { return path };
            let name = name_of(path.trim_end_matches('/').as_bytes());
            let Some(Node::Symlink(target)) = self.tree.get(&join(&folder, name)) else {
                return path;
            };
            let target = String::from_utf8_lossy(target);
            path = match target.starts_with('/') {
                true => target.into_owned(),
                false => format!("/{}/{target}", String::from_utf8_lossy(&folder)),
            };
        }
        path
    }
}
