//! Comparison of a file with what is expected of it.

use sha2::{Digest as _, Sha256};

use super::account_files::AccountFiles;
use super::content;
use crate::archive::files::FileInfo;
use crate::archive::tar::MemberKind;
use crate::check::expectations::{FileExpectations, FileType};
use crate::check::verdict::Checks;
use crate::text::{self, Description, value};

/// Describes a file without content.
pub(in crate::check) fn without_content(found: &FileInfo) -> String {
    match found.kind {
        MemberKind::HardLink => {
            let target = text::bytes(&found.link);
            format!("a hard link to {target}, which the layers below do not have")
        }
        _ => "nothing".to_owned(),
    }
}

/// Compares the file that was found, if any, with `expected`. The problem of a file that is too
/// large ends in `advice`.
pub(in crate::check) fn check(
    expected: &FileExpectations,
    found: Option<&FileInfo>,
    accounts: &AccountFiles,
    advice: &str,
) -> Checks {
    let mut checks = Checks::default();
    let must_exist = expected.exists != Some(false);
    let shown = |exists| if exists { "exists" } else { "does not exist" };
    let exists = found.is_some();
    checks.record("existence", shown(must_exist), shown(exists), must_exist == exists);
    if let (true, Some(found)) = (must_exist, found) {
        check_metadata(expected, found, &mut checks);
        if let Some(user) = &expected.user {
            accounts.record_user(&mut checks, user, found.uid);
        }
        if let Some(group) = &expected.group {
            accounts.record_group(&mut checks, group, found.gid);
        }
        if needs_content(expected) {
            match content(&expected.path, found) {
                Ok(content) => check_content(expected, found, content, &mut checks),
                Err(problem) => checks.problem(problem + advice),
            }
        }
    }
    checks
}

pub(in crate::check) fn needs_content(expected: &FileExpectations) -> bool {
    expected.exists != Some(false) && (expected.sha256.is_some() || expected.content.is_some())
}

fn check_metadata(expected: &FileExpectations, found: &FileInfo, checks: &mut Checks) {
    if let Some(kind) = expected.kind {
        checks.expect_equal("type", &kind, &file_type(found.kind));
    }
    if let Some(mode) = &expected.mode {
        let passed = mode.bits() == found.mode;
        let found = format!("{:04o}", found.mode);
        let expected = Description::quote(mode.to_string());
        checks.record("mode", expected, Description::quote(found), passed);
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
    content: Option<&[u8]>,
    checks: &mut Checks,
) {
    if let Some(sha256) = &expected.sha256 {
        let digest = content.map(|bytes| hex::encode(Sha256::digest(bytes)));
        let passed = digest.as_deref() == Some(sha256.as_ref());
        let shown = digest.map_or_else(|| without_content(found).into(), Description::quote);
        checks.record("sha256", Description::quote(sha256.as_ref()), shown, passed);
    }
    if let Some(text) = &expected.content {
        let Some(bytes) = content else {
            return checks.record("content", text.in_words(), without_content(found), false);
        };
        let content = String::from_utf8_lossy(bytes);
        if !bytes.contains(&0) {
            return checks.record_text("content", text, Some(&content));
        }
        let found = format!("{} bytes that are not text", bytes.len());
        let unmet = text.unmet_by(&content);
        let passed = unmet.is_none();
        checks.record("content", unmet.unwrap_or_else(|| text.in_words()), found, passed);
    }
}

fn file_type(kind: MemberKind) -> FileType {
    match kind {
        MemberKind::File | MemberKind::HardLink => FileType::File,
        MemberKind::Directory => FileType::Directory,
        MemberKind::Symlink => FileType::Symlink,
        MemberKind::Special(_) => FileType::Special,
    }
}
