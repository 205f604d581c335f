//! Static checks: they compare expectations with the archive alone, without an engine.

mod config;
mod file;
mod goss;
mod license;

use std::path::Path;

use rustix::io::Errno;

use super::CheckError;
use super::comparison::environment;
use super::expectations::{Expectations, FileExpectations, ImageExpectations};
use super::image::ImageUnderTest;
use super::verdict::TestCase;
use crate::archive::entry::{name_of, parent_of};
use crate::archive::files::{self, FileInfo};
use crate::archive::resolve::{ResolveError, resolve, target};

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
    /// that is asked for; `None` if symlinks form a loop.
    pub(in crate::check) fn path_of(&self, file: &FileExpectations) -> Option<String> {
        match file.follow || file.is_folder() {
            true => self.target_of(&file.path),
            false => Some(file.path.clone()),
        }
    }

    /// The path to which symlinks at `path` and in its folders lead; `None` if they form a loop.
    pub(in crate::check) fn target_of(&self, path: &str) -> Option<String> {
        self.walk(path.as_bytes())
    }

    /// The path of the file at `path` with the symlinks in its folders resolved, whatever is at the
    /// path itself; `None` if they form a loop.
    pub(in crate::check) fn folder_resolved(&self, path: &str) -> Option<String> {
        let path = path.trim_end_matches('/').as_bytes();
        let folder = self.walk(parent_of(path))?;
        Some(format!("{folder}/{}", String::from_utf8_lossy(name_of(path))))
    }

    fn walk(&self, path: &[u8]) -> Option<String> {
        let resolved = target(path, &self.tree).ok()?;
        Some(format!("/{}", String::from_utf8_lossy(&resolved)))
    }

    /// Why the kernel refuses to look for a file at `path`, if it does: there is a file in place of
    /// a folder, or symlinks form a loop.
    pub(in crate::check) fn refusal_of(&self, path: &str) -> Option<Errno> {
        let folder = parent_of(path.trim_end_matches('/').as_bytes());
        match resolve(folder, |path| self.tree.get(path)) {
            Ok(_) => None,
            Err(ResolveError::Loop(_)) => Some(Errno::LOOP),
            Err(ResolveError::TooLong(_)) => Some(Errno::NAMETOOLONG),
            Err(ResolveError::File(..)) => Some(Errno::NOTDIR),
        }
    }
}
