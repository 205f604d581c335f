//! Checks of files in the image.

use std::collections::BTreeMap;

use crate::check::CheckError;
use crate::check::comparison::file::{check, content, needs_content};
use crate::check::comparison::owner_names::{GROUPS, Names, OwnerNames, USERS};
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
    let owners = owner_names(image, expected)?;
    let mut checks: Vec<Option<Checks>> = expected.iter().map(|_| None).collect();
    let wanted = of_path.iter().map(|(path, indexes)| {
        (*path, indexes.iter().any(|index| needs_content(&expected[*index])))
    });
    image.for_each_found(wanted, |path, found| {
        for index in of_path.get(path).into_iter().flatten() {
            let expected = &expected[*index];
            let advice = if expected.is_literal { "" } else { IN_RUN };
            checks[*index] = Some(check(expected, Some(found), &owners, advice));
        }
    })?;
    let missing = |(checks, expected): (Option<Checks>, _)| {
        checks.unwrap_or_else(|| check(expected, None, &owners, ""))
    };
    Ok(checks.into_iter().zip(expected).map(missing).collect())
}

/// Reads the account files of `image` that `expected` needs.
fn owner_names(
    image: &ImageUnderTest,
    expected: &[FileExpectations],
) -> Result<OwnerNames, CheckError> {
    let mut owners = OwnerNames::default();
    let read = |path: &'static str, names: &mut Names| {
        let target = image.target_of(path);
        image.for_each_found(target.iter().map(|path| (path.as_str(), true)), |_, found| {
            names.read(content(path, found));
        })
    };
    if expected.iter().any(|file| file.user.is_some()) {
        read(USERS, &mut owners.users)?;
    }
    if expected.iter().any(|file| file.group.is_some()) {
        read(GROUPS, &mut owners.groups)?;
    }
    Ok(owners)
}
