//! Checks of files, users, groups and packages of a goss file, in the image.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::FileSystem;
use crate::archive::files::FileInfo;
use crate::check::CheckError;
use crate::check::comparison::Unread;
use crate::check::comparison::account_files::AccountFiles;
use crate::check::comparison::goss::{self, AccountsAndPackages, FoundFile, Packages, SKIPPED};
use crate::check::expectations::{GossSubject, PropertyExpectations, ServiceExpectations};
use crate::check::image::ImageUnderTest;
use crate::check::verdict::{Checks, TestCase};
use crate::sbom::databases;

impl ImageUnderTest {
    /// Makes the tests of goss files that need no container, and reports those that are skipped. A
    /// goss file that a service names is about the settings of its container.
    pub(in crate::check) fn goss_checks(
        &self,
        services: &[ServiceExpectations],
    ) -> Result<Vec<TestCase>, CheckError> {
        let (image, mut cases) = (self.name(), Vec::new());
        for service in services.iter().filter(|service| service.is_of_gossfile()) {
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

    /// Compares files, users, groups and packages of the image with `expected`. Each layer is read
    /// a few times, however many tests there are.
    pub(in crate::check) fn check_properties(
        &self,
        expected: &[&PropertyExpectations],
    ) -> Result<Vec<Checks>, CheckError> {
        let known = AccountsAndPackages {
            accounts: match goss::need_accounts(expected) {
                true => self.account_files()?,
                false => AccountFiles::default(),
            },
            packages: match goss::need_packages(expected) {
                true => {
                    let files = FileSystem::read(&self.image, self.threads)?;
                    let refuse = |problem| Err(Unread::Unknown(problem));
                    let unread = || databases::unread(&files).map_or(Ok(None), refuse);
                    let found = databases::packages(&files)?;
                    Packages::new(found.map_or_else(unread, |found| Ok(Some(found))))
                }
                false => Packages::default(),
            },
        };
        let infos = self.infos(expected)?;
        let mut checks: Vec<Option<Checks>> = expected.iter().map(|_| None).collect();
        self.for_each_target(expected, |index, path, found| {
            let test = expected[index];
            let GossSubject::File(own) = &test.subject else { return };
            let Some(info) = infos.get(own.as_str()) else { return };
            let target = (path.to_owned(), Ok(Some(found.clone())));
            let file = Ok(Some(FoundFile::of_image(info.clone(), target)));
            checks[index] = Some(goss::check(test, file, &known));
        })?;
        let missing = |(checks, test): (Option<Checks>, &&PropertyExpectations)| {
            checks.unwrap_or_else(|| goss::check(test, self.without_target(test, &infos), &known))
        };
        Ok(checks.into_iter().zip(expected).map(missing).collect())
    }

    /// The metadata of the files that tests are about, by their paths.
    fn infos<'t>(
        &self,
        tests: &[&'t PropertyExpectations],
    ) -> Result<BTreeMap<&'t str, FileInfo>, CheckError> {
        let paths: BTreeSet<&str> = tests.iter().filter_map(|test| path_of(test)).collect();
        let mut infos = BTreeMap::new();
        self.for_each_found(paths.into_iter().map(|path| (path, false)), |path, found| {
            infos.insert(path, FileInfo { content: None, ..found.clone() });
        })?;
        Ok(infos)
    }

    /// Calls `visit` with each test whose content is needed and found, and with the path to which
    /// symlinks lead.
    fn for_each_target(
        &self,
        tests: &[&PropertyExpectations],
        mut visit: impl FnMut(usize, &str, &FileInfo),
    ) -> Result<(), CheckError> {
        let mut of_target: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, test) in tests.iter().enumerate().filter(|(_, test)| test.needs_content()) {
            if let Some(target) = path_of(test).and_then(|path| self.target_of(path)) {
                of_target.entry(target).or_default().push(index);
            }
        }
        let paths = of_target.keys().map(|path| (path.as_str(), true));
        self.for_each_found(paths, |path, found| {
            let indexes = of_target.get(path).into_iter().flatten();
            indexes.for_each(|index| visit(*index, path, found));
        })
    }

    /// The file that a test is about, without content; or why the kernel would refuse to look for
    /// it.
    fn without_target(
        &self,
        test: &PropertyExpectations,
        infos: &BTreeMap<&str, FileInfo>,
    ) -> Result<Option<FoundFile>, Unread> {
        let Some(path) = path_of(test) else { return Ok(None) };
        let Some(info) = infos.get(path) else {
            let refusal = self.refusal_of(path);
            return refusal.map_or(Ok(None), |error| Err(Unread::Refused(error.to_string())));
        };
        let target = (path.to_owned(), Ok(None));
        Ok(Some(FoundFile::of_image(info.clone(), target)))
    }
}

/// The path of the file that a test is about.
fn path_of(test: &PropertyExpectations) -> Option<&str> {
    match &test.subject {
        GossSubject::File(path) => Some(path),
        _ => None,
    }
}
