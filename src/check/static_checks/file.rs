//! Checks of a file in the image.

use sha2::{Digest as _, Sha256};

use crate::archive::files::FileInfo;
use crate::archive::tar::MemberKind;
use crate::check::expectations::{FileExpectations, FileType};
use crate::check::verdict::Checks;
use crate::harness::HarnessError;
use crate::value;

/// Returns the content of the file that was found at `path`; `None` if it is not a regular file.
///
/// # Errors
/// If it is too large.
pub(super) fn content<'f>(
    path: &str,
    found: &'f FileInfo,
) -> Result<Option<&'f [u8]>, HarnessError> {
    match (&found.content, found.kind) {
        (None, MemberKind::File) => {
            Err(HarnessError::FileTooLarge { path: path.to_owned(), size: found.size })
        }
        (content, _) => Ok(content.as_deref()),
    }
}

/// Compares the file that was found, if any, with `expected`.
///
/// # Errors
/// If its content is expected and too large to be read.
pub(in crate::check) fn check(
    expected: &FileExpectations,
    found: Option<&FileInfo>,
) -> Result<Checks, HarnessError> {
    let mut checks = Checks::default();
    let must_exist = expected.exists != Some(false);
    let shown = |exists| if exists { "exists" } else { "does not exist" };
    let exists = found.is_some();
    checks.record("existence", shown(must_exist), shown(exists), must_exist == exists);
    if let (true, Some(found)) = (must_exist, found) {
        check_metadata(expected, found, &mut checks);
        check_content(expected, found, &mut checks)?;
    }
    Ok(checks)
}

fn check_metadata(expected: &FileExpectations, found: &FileInfo, checks: &mut Checks) {
    if let Some(kind) = expected.kind {
        checks.expect_equal("type", &kind, &file_type(found.kind));
    }
    if let Some(mode) = &expected.mode {
        let passed = mode.bits() == found.mode;
        let found = format!("{:04o}", found.mode);
        checks.record("mode", value::quote(mode.to_string()), value::quote(found), passed);
    }
    if let Some(class) = expected.executable_by {
        let subject = format!("executable by {}", value::format(class).trim_matches('"'));
        let passed = found.mode & class.bits() != 0;
        let shown = format!("{} (mode {:04o})", if passed { "yes" } else { "no" }, found.mode);
        checks.record(&subject, "yes", shown, passed);
    }
    let numbers = [
        ("user ID", expected.uid, found.uid),
        ("group ID", expected.gid, found.gid),
        ("size in bytes", expected.size, found.size),
    ];
    for (subject, expected, found) in numbers {
        if let Some(expected) = expected {
            checks.expect_equal(subject, &expected, &found);
        }
    }
    if let Some(target) = &expected.target {
        let found = (found.kind == MemberKind::Symlink)
            .then(|| String::from_utf8_lossy(&found.link).into_owned());
        checks.expect_equal("symlink target", &Some(target.clone()), &found);
    }
}

fn check_content(
    expected: &FileExpectations,
    found: &FileInfo,
    checks: &mut Checks,
) -> Result<(), HarnessError> {
    if expected.sha256.is_none() && expected.content.is_none() {
        return Ok(());
    }
    let content = content(&expected.path, found)?;
    if let Some(sha256) = &expected.sha256 {
        let found = content.map(|bytes| hex::encode(Sha256::digest(bytes)));
        checks.expect_equal("sha256", &Some(sha256.as_ref()), &found.as_deref());
    }
    if let Some(text) = &expected.content {
        let Some(bytes) = content else {
            checks.record("content", text, "nothing", false);
            return Ok(());
        };
        let content = String::from_utf8_lossy(bytes);
        let found = match bytes.contains(&0) {
            true => format!("{} bytes that are not text", bytes.len()),
            false => value::quote(&content),
        };
        checks.record("content", text.unmet_by(&content), found, text.is_match(&content));
    }
    Ok(())
}

fn file_type(kind: MemberKind) -> FileType {
    match kind {
        MemberKind::File | MemberKind::HardLink => FileType::File,
        MemberKind::Directory => FileType::Directory,
        MemberKind::Symlink => FileType::Symlink,
        MemberKind::Special(_) => FileType::Special,
    }
}
