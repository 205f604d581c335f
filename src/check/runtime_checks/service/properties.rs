//! Tests of a goss file about files, users, groups and packages, in the container of a service.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::Service;
use super::container_files::{self, FILES_MAX, Found, NO_OWNER, Wanted, of_file};
use super::intervals::FILES_TIMEOUT;
use crate::archive::tar::MemberKind;
use crate::check::comparison::Unread;
use crate::check::comparison::goss::{self, FoundFile};
use crate::check::expectations::{GossSubject, PropertyExpectations};
use crate::check::verdict::Checks;
use crate::harness::container_files::FileError;
use crate::harness::{HarnessError, POLL_INTERVAL, describe_end, exits};
use crate::linux::container_user::UserIds;
use crate::text::errors::chain;

/// A test, with its position in the goss file.
type Test<'t> = (usize, &'t PropertyExpectations);

impl Service<'_> {
    /// Makes the tests of files, users, groups and packages, and makes those that fail or have no
    /// result again until the time is over: what a service starts with may write files. `settled`
    /// is the time from which a ready service counts as such; `None` if it is not ready. The files
    /// of a container that has ended are there all the same.
    pub(super) async fn check_properties(
        &mut self,
        settled: Option<Instant>,
    ) -> Result<(), HarnessError> {
        let expected = self.expected;
        let tests = expected.tests.iter().enumerate();
        let mut pending: Vec<Test<'_>> =
            tests.filter_map(|(index, test)| Some((index, test.properties()?))).collect();
        if pending.is_empty() {
            return Ok(());
        }
        if let Some(settled) = settled {
            self.end.or(sleep_until(settled)).await;
        }
        let clock = self.image.daemon().vm().clock().clone();
        let deadline = clock.now() + FILES_TIMEOUT;
        let had_ended = loop {
            let is_running = self.container.state().await?.running;
            // A test has all of the time, however long it takes to make the others.
            let is_last = settled.is_none() || !is_running || clock.now() >= deadline;
            pending = match self.check_each(pending, is_running).await {
                Err(error) if error.is_unsupported() => {
                    self.note_without_files(&chain(&error));
                    return Ok(());
                }
                failed => failed?,
            };
            if pending.is_empty() || is_last || self.is_late {
                break !is_running;
            }
            self.end.or(sleep(POLL_INTERVAL)).await;
        };
        match had_ended {
            true => self.explain_end(pending.into_iter().map(|(index, _)| index)).await,
            false => Ok(()),
        }
    }

    /// Notes why the engine cannot read files. The image says nothing about those that are there
    /// only while the container runs.
    fn note_without_files(&mut self, reason: &str) {
        for (index, test) in self.expected.tests.iter().enumerate() {
            let Some(GossSubject::File(path)) = test.properties().map(|test| &test.subject) else {
                continue;
            };
            if self.ends_with_container(path) {
                let mut checks = Checks::default();
                checks.problem(of_file(path)(io::Error::other(reason)));
                self.results.made.entry(index).or_insert((checks, Default::default()));
            }
        }
        self.results.no_files = Some(reason.to_owned());
    }

    /// Makes `tests`, and returns those that do not pass.
    async fn check_each<'t>(
        &mut self,
        tests: Vec<Test<'t>>,
        is_running: bool,
    ) -> Result<Vec<Test<'t>>, HarnessError> {
        let all: Vec<&PropertyExpectations> = tests.iter().map(|(_, test)| *test).collect();
        // Files of a container that has ended are those that root reads.
        let user = match is_running {
            true => Some(self.user().await?),
            false => None,
        };
        let user = match user.transpose() {
            Ok(user) => user,
            Err(problem) => {
                self.set_problem(&tests, &problem);
                return Ok(tests);
            }
        };
        let user = user.as_ref();
        let known = self.accounts_and_packages(&all, user).await?;
        let mut failed = Vec::new();
        for tests in tests.chunks(FILES_MAX) {
            let begin = Instant::now();
            let files = self.found_files(tests, user).await?;
            for ((index, test), file) in tests.iter().zip(files) {
                let file = match file {
                    Some(file) => self.with_large_content(test, file, user).await?,
                    None => Ok(None),
                };
                let checks = goss::check(test, file, &known);
                if !checks.has_passed() {
                    failed.push((*index, *test));
                }
                let share = begin.elapsed() / tests.len() as u32;
                self.results.made.insert(*index, (checks, share));
            }
        }
        Ok(failed)
    }

    /// Sets the reason why `tests` cannot be made.
    fn set_problem(&mut self, tests: &[Test<'_>], problem: &str) {
        for (index, _) in tests {
            let mut checks = Checks::default();
            checks.problem(problem.to_owned());
            self.results.made.insert(*index, (checks, Duration::ZERO));
        }
    }

    /// Says of failed tests how the container has ended, if it has.
    async fn explain_end(
        &mut self,
        failed: impl Iterator<Item = usize>,
    ) -> Result<(), HarnessError> {
        let mut failed = failed.peekable();
        if failed.peek().is_none() {
            return Ok(());
        }
        let state = exits::state(self.image.daemon(), self.container).await?;
        if !state.running {
            let end = describe_end(self.container, &state).await;
            let hint = format!("the container had ended before this was checked: {end}");
            for index in failed {
                if let Some((checks, _)) = self.results.made.get_mut(&index) {
                    checks.hint(vec![hint.clone()]);
                }
            }
        }
        Ok(())
    }

    /// Returns the files that the tests are about, and those to which symlinks there lead, if their
    /// contents are needed. The contents of large files may be missing.
    async fn found_files(
        &mut self,
        tests: &[Test<'_>],
        user: Option<&UserIds>,
    ) -> Result<Vec<Option<FoundOrLink>>, HarnessError> {
        let wanted: Vec<_> = tests.iter().filter_map(|(_, test)| wanted_by(test, false)).collect();
        let mut found = self.read(&wanted, user).await?.into_iter();
        let of_tests = tests.iter().map(|(_, test)| wanted_by(test, true));
        let mut files: Vec<Option<FoundOrLink>> = of_tests
            .map(|wanted| wanted.and_then(|_| found.next()).map(|file| (file, None)))
            .collect();
        let is_link = |file: &Option<FoundOrLink>| {
            file.as_ref().is_some_and(|(file, _)| {
                file.as_ref().is_ok_and(|file| file.info.kind == MemberKind::Symlink)
            })
        };
        let needed = |(index, (_, test)): (usize, &Test<'_>)| {
            (test.needs_content() && is_link(&files[index])).then_some(index)
        };
        let links: Vec<usize> = tests.iter().enumerate().filter_map(needed).collect();
        let wanted: Vec<_> = links.iter().filter_map(|it| wanted_by(tests[*it].1, true)).collect();
        for (index, target) in links.into_iter().zip(self.read(&wanted, user).await?) {
            if let Some((_, of_link)) = &mut files[index] {
                *of_link = Some(target);
            }
        }
        Ok(files)
    }

    /// Returns the file of a test, if it exists, with the content that the test needs.
    async fn with_large_content(
        &mut self,
        test: &PropertyExpectations,
        (found, target): FoundOrLink,
        user: Option<&UserIds>,
    ) -> Result<Result<Option<FoundFile>, Unread>, HarnessError> {
        let GossSubject::File(path) = &test.subject else { return Ok(Ok(None)) };
        let mut found = match found {
            Ok(found) => found,
            Err(FileError::System(error)) if error == rustix::io::Errno::NOENT => {
                return Ok(Ok(None));
            }
            Err(error) => return Ok(Err(unread(path, &error))),
        };
        let target = match target {
            Some(target) => target,
            None => Ok(found.clone()),
        };
        found.info.content = None;
        let target = match wanted_by(test, true) {
            Some(wanted) => self.with_content(wanted, target, user).await?,
            None => target,
        };
        let target = match target {
            Ok(target) => match target.content_error {
                Some(error) => Err(unread(path, &FileError::System(error))),
                None => Ok(Some(target.info)),
            },
            Err(error) => Err(unread(path, &error)),
        };
        let file = FoundFile::of_image(found.info, (path.to_owned(), target));
        let size = found.stat_size.map_or(file.size, Ok);
        let no_owner = (!found.has_owner).then_some(NO_OWNER);
        Ok(Ok(Some(FoundFile { is_socket: found.is_socket, size, no_owner, ..file })))
    }
}

/// A file, and the one to which symlinks at its path lead, if it was read.
type FoundOrLink = (Found, Option<Found>);

/// The file that a test is about.
fn wanted_by(test: &PropertyExpectations, follow: bool) -> Option<Wanted<'_>> {
    let GossSubject::File(path) = &test.subject else { return None };
    Some(Wanted { path, follow, needs_content: test.needs_content() })
}

/// The reason for a test of the file at `path`, whose name has the path.
fn unread(path: &str, error: &FileError) -> Unread {
    match error {
        FileError::System(error) => Unread::Refused(error.to_string()),
        error => container_files::unread(path, error),
    }
}
