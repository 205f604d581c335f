//! Checks of files, users, groups and packages of a goss file, in the image.

use crate::archive::FileSystem;
use crate::archive::files::FileInfo;
use crate::check::CheckError;
use crate::check::expectations::{GossSubject, PropertyExpectations, ServiceExpectations};
use crate::check::image::ImageUnderTest;
use crate::check::properties::{self, AccountFiles, FoundFile, Packages, Surroundings};
use crate::check::verdict::{Checks, TestCase};
use crate::sbom::databases;

/// The reason why a test case is skipped.
pub(in crate::check) const SKIPPED: &str = "the goss file skips it";

impl ImageUnderTest {
    /// Makes the tests of goss files that need no container, and reports those that are skipped.
    pub(in crate::check) fn goss_checks(
        &self,
        services: &[ServiceExpectations],
    ) -> Result<Vec<TestCase>, CheckError> {
        let (image, mut cases) = (self.name(), Vec::new());
        for service in services {
            let properties: Vec<_> =
                service.tests.iter().filter_map(|test| test.properties()).collect();
            let mut checks = self.check_properties(&properties)?.into_iter();
            for test in service.tests.iter().filter(|test| !test.needs_running()) {
                let name = service.test_name(test);
                let checks = test.properties().and_then(|_| checks.next());
                cases.push(match checks {
                    Some(checks) => TestCase::finished(&image, name, checks),
                    None => TestCase::skipped(&image, name, SKIPPED),
                });
            }
        }
        Ok(cases)
    }

    /// Compares files, users, groups and packages of the image with `expected`.
    pub(in crate::check) fn check_properties(
        &self,
        expected: &[&PropertyExpectations],
    ) -> Result<Vec<Checks>, CheckError> {
        let surroundings = Surroundings {
            accounts: match properties::need_accounts(expected) {
                true => self.accounts()?.into(),
                false => AccountFiles::default().into(),
            },
            packages: match properties::need_packages(expected) {
                true => {
                    let files = FileSystem::read(&self.image, self.threads)?;
                    Packages::new(Ok(databases::packages(&files)?))
                }
                false => Packages::default(),
            },
        };
        let check = |expected: &&PropertyExpectations| {
            let file = match &expected.subject {
                GossSubject::File(path) => self.found_file(path, expected.needs_content())?,
                _ => None,
            };
            Ok(properties::check(expected, file, &surroundings))
        };
        expected.iter().map(check).collect()
    }

    fn accounts(&self) -> Result<AccountFiles, CheckError> {
        let [users, groups] = properties::ACCOUNT_FILES.map(|path| self.target_of(path));
        let mut files = AccountFiles::default();
        self.for_each_found([(users.as_str(), true), (&groups, true)], |path, found| {
            if path == users {
                files.users = Some((users.clone(), found.clone()));
            }
            if path == groups {
                files.groups = Some((groups.clone(), found.clone()));
            }
        })?;
        Ok(files)
    }

    fn found_file(&self, path: &str, needs_content: bool) -> Result<Option<FoundFile>, CheckError> {
        let target = self.target_of(path);
        let (mut info, mut of_target) = (None, None);
        self.for_each_found([(path, false), (&target, needs_content)], |name, found| {
            if name == target {
                of_target = Some(found.clone());
            }
            if name == path {
                info = Some(FileInfo { content: None, ..found.clone() });
            }
        })?;
        Ok(info.map(|info| FoundFile { info, target: (target, Ok(of_target)) }))
    }
}
