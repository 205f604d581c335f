//! Checks of files in the image.

use std::collections::BTreeMap;

use crate::archive::tar::MemberKind;
use crate::check::CheckError;
use crate::check::comparison::account_files::{self, AccountFiles, GROUPS, USERS};
use crate::check::comparison::file::{check, needs_content};
use crate::check::expectations::FileExpectations;
use crate::check::image::ImageUnderTest;
use crate::check::verdict::Checks;

/// The advice for a large file: a command that the image has, in its format of expectations.
const IN_RUN: &str = "; a command in [[run]], such as sha256sum, can check it";

/// Compares the files of `image` with `expected`, and returns the checks of each.
pub(super) fn check_all(
    image: &ImageUnderTest,
    expected: &[FileExpectations],
) -> Result<Vec<Checks>, CheckError> {
    let paths: Vec<Option<String>> = expected.iter().map(|file| image.path_of(file)).collect();
    let mut of_path: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, path) in paths.iter().enumerate() {
        if let Some(path) = path {
            of_path.entry(path).or_default().push(index);
        }
    }
    let needs_names = expected.iter().any(|file| file.user.is_some() || file.group.is_some());
    let accounts = if needs_names { image.account_files()? } else { AccountFiles::default() };
    let mut checks: Vec<Option<Checks>> = expected.iter().map(|_| None).collect();
    let wanted = of_path.iter().map(|(path, indexes)| {
        (*path, indexes.iter().any(|index| needs_content(&expected[*index])))
    });
    image.for_each_found(wanted, |path, found| {
        for index in of_path.get(path).into_iter().flatten() {
            let expected = &expected[*index];
            // A slash at the end leads nowhere from a file.
            if expected.is_folder() && found.kind != MemberKind::Directory {
                continue;
            }
            let advice = if expected.is_literal { "" } else { IN_RUN };
            checks[*index] = Some(check(expected, Some(found), &accounts, advice));
        }
    })?;
    let missing = |(checks, expected): (Option<Checks>, _)| {
        checks.unwrap_or_else(|| check(expected, None, &accounts, ""))
    };
    Ok(checks.into_iter().zip(expected).map(missing).collect())
}

impl ImageUnderTest {
    /// Reads the account files of the image.
    pub(super) fn account_files(&self) -> Result<AccountFiles, CheckError> {
        let targets = [USERS, GROUPS].map(|path| self.target_of(path));
        let mut files = AccountFiles::default();
        let paths = targets.iter().flatten().map(|path| (path.as_str(), true));
        self.for_each_found(paths, |target, found| {
            if targets[0].as_deref() == Some(target) {
                files.users = account_files::lines(USERS, found);
            }
            if targets[1].as_deref() == Some(target) {
                files.groups = account_files::lines(GROUPS, found);
            }
        })?;
        Ok(files)
    }
}
