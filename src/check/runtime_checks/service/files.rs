//! Files in the running container of a service.

use tokio::time::sleep;

use super::Service;
use super::container_files::{FILES_MAX, Found, NO_OWNER, Wanted};
use super::intervals::FILES_TIMEOUT;
use crate::check::comparison::account_files::AccountFiles;
use crate::check::comparison::file;
use crate::check::expectations::FileExpectations;
use crate::check::verdict::Checks;
use crate::harness::container_files::ContainerFile;
use crate::harness::{HarnessError, POLL_INTERVAL};

/// The advice for a large file, which is only in this container.
const IN_EXEC: &str = "; a command in exec of the service, such as sha256sum, can check it";

/// An expected file, and its checks so far.
struct Pending<'e> {
    expected: &'e FileExpectations,
    checks: Checks,
    is_met: bool,
}

impl Service<'_> {
    /// Compares the files of the container with the expected ones, and those that are not as
    /// expected again until the time is over: a service may write them after it has answered.
    pub(super) async fn check_files(&mut self) -> Result<(), HarnessError> {
        let expected = self.expected;
        let pending = |expected| Pending { expected, checks: Checks::default(), is_met: false };
        let mut all: Vec<Pending<'_>> = expected.file.iter().map(pending).collect();
        let clock = self.image.daemon().vm().clock().clone();
        let deadline = clock.now() + FILES_TIMEOUT;
        while !all.is_empty() {
            // A file has all of the time, however long it takes to read the others.
            let is_last = clock.now() >= deadline || !self.container.state().await?.running;
            match self.compare(&mut all).await {
                // A service that ends too early fails for that.
                Err(error) if error.is_unsupported() => {
                    let unmet = all.iter_mut().filter(|file| !file.is_met);
                    unmet.for_each(|file| file.set_problem(&error.to_string()));
                }
                compared => compared?,
            }
            if is_last || self.is_late || all.iter().all(|file| file.is_met) {
                break;
            }
            self.end.or(sleep(POLL_INTERVAL)).await;
        }
        for Pending { expected, checks, .. } in all {
            self.checks.append(&subject(expected), checks);
        }
        Ok(())
    }

    /// Compares those files that are not yet as expected.
    async fn compare(&mut self, all: &mut [Pending<'_>]) -> Result<(), HarnessError> {
        let mut unmet: Vec<_> = all.iter_mut().filter(|file| !file.is_met).collect();
        let needs_names = |file: &FileExpectations| file.user.is_some() || file.group.is_some();
        let accounts = match unmet.iter().any(|file| needs_names(file.expected)) {
            true => self.account_files(None).await?,
            false => AccountFiles::default(),
        };
        for pending in unmet.chunks_mut(FILES_MAX) {
            let wanted: Vec<_> = pending.iter().map(|it| wanted_by(it.expected)).collect();
            let found = self.read(&wanted, None).await?;
            for ((pending, wanted), found) in pending.iter_mut().zip(wanted).zip(found) {
                pending.compare(self.with_content(wanted, found, None).await?, &accounts);
            }
        }
        Ok(())
    }
}

fn subject(expected: &FileExpectations) -> String {
    format!("file {}", expected.name.as_ref().unwrap_or(&expected.path))
}

fn wanted_by(expected: &FileExpectations) -> Wanted<'_> {
    let needs_content = file::needs_content(expected);
    Wanted { path: &expected.path, follow: expected.follow, needs_content }
}

impl Pending<'_> {
    fn compare(&mut self, found: Found, accounts: &AccountFiles) {
        let found = match found {
            Ok(found) => Some(found),
            Err(error) if error.is_absent() => None,
            Err(error) => return self.set_problem(&error.to_string()),
        };
        let mut expected = self.expected.clone();
        let problems = found.iter().flat_map(|found| without_unknown(&mut expected, found));
        let problems: Vec<String> = problems.collect();
        let found = found.as_ref().map(|found| &found.info);
        self.checks = file::check(&expected, found, accounts, IN_EXEC);
        self.is_met = self.checks.has_passed() && problems.is_empty();
        let subject = subject(self.expected);
        let problem = |problem| format!("failed to check {subject}: {problem}");
        problems.into_iter().map(problem).for_each(|problem| self.checks.problem(problem));
    }

    fn set_problem(&mut self, problem: &str) {
        self.checks = Checks::default();
        let subject = subject(self.expected);
        self.checks.problem(format!("failed to check {subject}: {problem}"));
    }
}

/// Removes what cannot be compared with the file that was found, and returns the reasons.
fn without_unknown(expected: &mut FileExpectations, found: &ContainerFile) -> Vec<String> {
    let mut problems = Vec::new();
    let FileExpectations { uid, gid, user, group, .. } = expected;
    let has_owner = uid.is_some() || gid.is_some() || user.is_some() || group.is_some();
    if has_owner && !found.has_owner {
        (*uid, *gid, *user, *group) = (None, None, None, None);
        problems.push(NO_OWNER.to_owned());
    }
    if let Some(error) = found.content_error.filter(|_| file::needs_content(expected)) {
        (expected.sha256, expected.content) = (None, None);
        problems.push(error.to_string());
    }
    problems
}
