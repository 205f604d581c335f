//! Comparison of files, users, groups and packages with the tests of a goss file.

mod accounts;
mod found_file;
mod packages;

pub(in crate::check) use self::found_file::FoundFile;
pub(in crate::check) use self::packages::Packages;
use super::Unread;
use super::account_files::AccountFiles;
use crate::check::expectations::{Found, GossProperty, GossSubject, Matcher, PropertyExpectations};
use crate::check::verdict::Checks;
use crate::text::Description;

/// The reason why a test is skipped.
pub(in crate::check) const SKIPPED: &str = "the goss file skips it";

/// The accounts and packages of an image or a container.
#[derive(Default)]
pub(in crate::check) struct AccountsAndPackages {
    pub accounts: AccountFiles,
    pub packages: Packages,
}

/// Whether one of `tests` asks for accounts.
pub(in crate::check) fn need_accounts(tests: &[&PropertyExpectations]) -> bool {
    let by_name = |(property, _): &(GossProperty, Matcher)| {
        matches!(property, GossProperty::Owner | GossProperty::Group)
    };
    tests.iter().any(|test| match test.subject {
        GossSubject::User(_) | GossSubject::Group(_) => true,
        GossSubject::Package(_) => false,
        GossSubject::File(_) => test.properties.iter().any(by_name),
    })
}

/// Whether one of `tests` asks for packages.
pub(in crate::check) fn need_packages(tests: &[&PropertyExpectations]) -> bool {
    tests.iter().any(|test| matches!(test.subject, GossSubject::Package(_)))
}

/// Compares what was found with `expected`. `file` is the file that `expected` is about, if any.
pub(in crate::check) fn check(
    expected: &PropertyExpectations,
    file: Result<Option<FoundFile>, Unread>,
    known: &AccountsAndPackages,
) -> Checks {
    let mut checks = Checks::default();
    let AccountsAndPackages { accounts, packages } = known;
    let file = match file {
        Ok(file) => file,
        Err(unread) => {
            let name = expected.subject.existence();
            record_unread(&mut checks, name, &expected.exists, unread);
            return checks;
        }
    };
    let exists = match &expected.subject {
        GossSubject::File(_) => Ok(file.is_some()),
        GossSubject::User(name) => accounts.has_user(name),
        GossSubject::Group(name) => accounts.has_group(name),
        GossSubject::Package(name) => match packages.versions(name) {
            Ok(None) => {
                let found = "there is no database of dpkg or apk";
                checks.record("installed", expected.exists.in_words(), found, false);
                return checks;
            }
            Ok(Some(versions)) => Ok(!versions.is_empty()),
            Err(problem) => Err(problem),
        },
    };
    let exists = match exists {
        Ok(exists) => exists,
        // goss takes accounts and packages that it cannot read as absent.
        Err(Unread::Refused(error)) => {
            let passed = expected.exists.is_match(&Found::Bool(false));
            checks.record(expected.subject.existence(), expected.exists.in_words(), error, passed);
            return checks;
        }
        Err(Unread::Unknown(problem)) => {
            checks.problem(problem);
            return checks;
        }
    };
    let passed = expected.exists.is_match(&Found::Bool(exists));
    checks.record(
        expected.subject.existence(),
        expected.exists.in_words(),
        Description::of(exists),
        passed,
    );
    if passed && exists {
        for (property, matcher) in &expected.properties {
            match find(&expected.subject, *property, file.as_ref(), known) {
                Ok(found) => record(&mut checks, *property, matcher, found),
                Err(unread) => record_unread(&mut checks, name(*property), matcher, unread),
            }
        }
    }
    checks
}

/// Returns a property of what is there; or the reason why it is not known.
fn find(
    subject: &GossSubject,
    property: GossProperty,
    file: Option<&FoundFile>,
    AccountsAndPackages { accounts, packages }: &AccountsAndPackages,
) -> Result<Option<Found>, Unread> {
    Ok(match subject {
        GossSubject::File(_) => return file.map_or(Ok(None), |it| it.property(property, accounts)),
        GossSubject::User(name) => accounts.user_property(name, property)?,
        GossSubject::Group(name) => accounts.group_id(name)?,
        GossSubject::Package(name) => packages.versions(name)?.map(Found::List),
    })
}

/// Records a property that is not known.
fn record_unread(checks: &mut Checks, name: &str, matcher: &Matcher, unread: Unread) {
    match unread {
        Unread::Refused(error) => checks.record(name, matcher.in_words(), error, false),
        Unread::Unknown(problem) => checks.problem(problem),
    }
}

fn record(checks: &mut Checks, property: GossProperty, matcher: &Matcher, found: Option<Found>) {
    let passed = found.as_ref().is_some_and(|found| matcher.is_match(found));
    checks.hint(found.as_ref().and_then(|found| matcher.hint(found)).into_iter().collect());
    let found = match found {
        None => "nothing".into(),
        Some(Found::Bool(value)) => Description::of(value),
        Some(Found::Number(value)) => value.to_string().into(),
        Some(Found::Text(text)) => Description::quote(text),
        Some(Found::List(list)) => Description::of(list),
    };
    checks.record(name(property), matcher.in_words(), found, passed);
}

fn name(property: GossProperty) -> &'static str {
    match property {
        GossProperty::Mode => "mode",
        GossProperty::Size => "size",
        GossProperty::Owner => "owner",
        GossProperty::Uid => "uid",
        GossProperty::Group => "group",
        GossProperty::Gid => "gid",
        GossProperty::LinkedTo => "linked-to",
        GossProperty::Filetype => "filetype",
        GossProperty::Contents => "contents",
        GossProperty::Md5 => "md5",
        GossProperty::Sha256 => "sha256",
        GossProperty::Sha512 => "sha512",
        GossProperty::Groups => "groups",
        GossProperty::Home => "home",
        GossProperty::Shell => "shell",
        GossProperty::Versions => "versions",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Whether a test passes if all files with accounts and packages are not read for this reason.
    fn passes(subject: GossSubject, exists: bool, unread: &Unread) -> bool {
        let exists = Matcher::parse(&json!(exists), true).unwrap();
        let expected = PropertyExpectations { subject, exists, properties: Vec::new() };
        let accounts = AccountFiles { users: Err(unread.clone()), groups: Err(unread.clone()) };
        let packages = Packages::new(Err(unread.clone()));
        check(&expected, Ok(None), &AccountsAndPackages { accounts, packages }).has_passed()
    }

    #[test]
    fn accounts_and_packages_that_the_kernel_refuses_are_absent_as_in_goss() {
        let refused = Unread::Refused("Permission denied".to_owned());
        let unknown = Unread::Unknown("the answer is incomplete".to_owned());
        for subject in [GossSubject::User, GossSubject::Group, GossSubject::Package] {
            assert!(passes(subject("a".to_owned()), false, &refused));
            assert!(!passes(subject("a".to_owned()), true, &refused));
            assert!(!passes(subject("a".to_owned()), false, &unknown));
        }
    }
}
