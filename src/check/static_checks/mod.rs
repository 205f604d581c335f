//! Static checks: they compare expectations with the archive alone, without an engine.

mod config;
pub(super) mod environment;
pub(in crate::check) mod file;
pub(in crate::check) mod goss;
mod license;

use std::path::Path;

use super::CheckError;
use super::expectations::{Expectations, FileExpectations, ImageExpectations};
use super::image::ImageUnderTest;
use super::verdict::TestCase;
use crate::archive::entry::{join, name_of, parent_of};
use crate::archive::files::{self, FileInfo};
use crate::archive::resolve::resolve;
use crate::archive::tree::Node;

/// The name of the test case about the image's config.
const CONFIG: &str = "config";
/// The name of the test case about the environment.
const ENVIRONMENT: &str = "environment of the config";
/// The name of the test case about a second build.
pub(super) const REPRODUCIBLE: &str = "reproducible build";

fn file_name(file: &FileExpectations) -> String {
    format!("file {}", file.name.as_ref().unwrap_or(&file.path))
}

/// Returns the names of all static test cases of `expected`, but for those of goss files, which are
/// runtime checks if there is an engine.
pub(super) fn names(expected: &Expectations) -> Vec<String> {
    let config = (!expected.image.is_empty()).then_some(CONFIG);
    let reproducible = (expected.image.reproducible == Some(true)).then_some(REPRODUCIBLE);
    let fixed = config.into_iter().chain([ENVIRONMENT]).chain(reproducible).map(str::to_owned);
    let licenses = expected.license.iter().map(|license| license.name.clone());
    let files = expected.file.iter().map(file_name);
    fixed.chain(files).chain(licenses).collect()
}

/// Leaves the expectations whose test cases `selects` selects by their names. The environment is
/// also that of containers.
pub(super) fn retain(expected: &mut Expectations, selects: impl Fn(&str) -> bool) {
    let Expectations { image, file, license, .. } = expected;
    if !selects(CONFIG) {
        *image = ImageExpectations { reproducible: image.reproducible, ..Default::default() };
    }
    file.retain(|file| selects(&file_name(file)));
    license.retain(|license| selects(&license.name));
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
        let mut cases = self.archive_checks(expected, folder)?;
        cases.extend(self.goss_checks(&expected.service)?);
        Ok(cases)
    }

    /// The same without those of goss files, which look at a container if there is an engine.
    pub(super) fn archive_checks(
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
        let of_files = file::check_all(self, &expected.file)?;
        for (expected, checks) in expected.file.iter().zip(of_files) {
            cases.push(TestCase::finished(&image, file_name(expected), checks));
        }
        for expected in &expected.license {
            let checks = license::check(self, expected)?;
            cases.push(TestCase::finished(&image, &expected.name, checks));
        }
        Ok(cases)
    }

    /// Calls `visit` for each of `paths` that the image has. See [`files::for_each_found`].
    pub(in crate::check) fn for_each_found<'p>(
        &self,
        paths: impl IntoIterator<Item = (&'p str, bool)>,
        visit: impl FnMut(&'p str, &FileInfo),
    ) -> Result<(), CheckError> {
        Ok(files::for_each_found(&self.image, &self.tree, paths, visit)?)
    }

    /// The path of an expected file, with a symlink at the path itself replaced by its target if
    /// that is asked for.
    pub(in crate::check) fn path_of(&self, file: &FileExpectations) -> String {
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
