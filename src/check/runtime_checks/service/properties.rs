//! Tests of a goss file about files, users, groups and packages, in the container of a service.

use std::io::{self, Read};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::Service;
use super::files::{ARCHIVE_MAX, first_entry};
use crate::archive::files::{CONTENT_MAX, FileInfo};
use crate::archive::tar::MemberKind;
use crate::check::expectations::{GossSubject, PropertyExpectations};
use crate::check::properties::{self, AccountFiles, Accounts, FoundFile, Packages, Surroundings};
use crate::check::verdict::Checks;
use crate::engine::Container;
use crate::harness::{HarnessError, POLL_INTERVAL, describe_end, exits};
use crate::sbom::Package;
use crate::sbom::databases::{self, Databases};
use crate::text;
use crate::text::errors::chain;

/// The time in which files, accounts and packages must become as expected.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of an archive of which only the first header is needed: folders come with all
/// that is in them.
const HEADER_MAX: usize = 1 << 20;

/// The reason why the files of a folder are not read.
const NO_LIST: &str = "over CRI, the files in a folder cannot be listed";

/// A part of the container; or a sentence that says why it is not known.
type Reading<T> = Result<T, String>;

impl Service<'_> {
    /// Makes the tests of files, users, groups and packages, and makes those that fail again until
    /// the time is over: what a service starts with may write files. `settled` is the time from
    /// which a ready service counts as such; `None` if it is not ready. The files of a container
    /// that has ended are there all the same.
    pub(super) async fn check_properties(
        &mut self,
        settled: Option<Instant>,
    ) -> Result<(), HarnessError> {
        let tests = self.expected.tests.iter().enumerate();
        let mut pending: Vec<_> =
            tests.filter_map(|(index, test)| Some((index, test.properties()?))).collect();
        if pending.is_empty() {
            return Ok(());
        }
        if let Some(settled) = settled {
            self.end.or(sleep_until(settled)).await;
        }
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let is_running = self.container.state().await?.running;
            pending = match self.check_each(pending).await {
                Err(error) if error.is_unsupported() => {
                    self.results.no_files = Some(chain(&error));
                    return Ok(());
                }
                failed => failed?,
            };
            let is_over = settled.is_none() || !is_running || Instant::now() >= deadline;
            if pending.is_empty() || is_over {
                break;
            }
            self.end.or(sleep(POLL_INTERVAL)).await;
        }
        self.explain_end(pending.into_iter().map(|(index, _)| index)).await
    }

    /// Makes `tests`, and returns those that fail.
    async fn check_each<'t>(
        &mut self,
        tests: Vec<(usize, &'t PropertyExpectations)>,
    ) -> Result<Vec<(usize, &'t PropertyExpectations)>, HarnessError> {
        let all: Vec<&PropertyExpectations> = tests.iter().map(|(_, test)| *test).collect();
        let surroundings = self.surroundings(&all).await?;
        let mut failed = Vec::new();
        for (index, test) in tests {
            let begin = Instant::now();
            let found = match &test.subject {
                GossSubject::File(path) => self.found_file(path, test.needs_content()).await?,
                _ => Ok(None),
            };
            let checks = match found {
                Ok(file) => properties::check(test, file, &surroundings),
                Err(problem) => {
                    let mut checks = Checks::default();
                    checks.problem(problem);
                    checks
                }
            };
            if !checks.mismatches().is_empty() {
                failed.push((index, test));
            }
            self.results.made.insert(index, (checks, begin.elapsed()));
        }
        Ok(failed)
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

    /// Reads the accounts and packages for `tests`.
    async fn surroundings(
        &self,
        tests: &[&PropertyExpectations],
    ) -> Result<Surroundings, HarnessError> {
        let mut surroundings = Surroundings::default();
        if properties::need_accounts(tests) {
            surroundings.accounts = self.accounts().await?;
        }
        if properties::need_packages(tests) {
            surroundings.packages = Packages::new(self.packages().await?);
        }
        Ok(surroundings)
    }

    async fn accounts(&self) -> Result<Accounts, HarnessError> {
        let mut found = Vec::new();
        for path in properties::ACCOUNT_FILES {
            match self.read_file(path, true, ARCHIVE_MAX).await? {
                Ok(file) => found.push(file.map(|file| (path.to_owned(), file))),
                Err(problem) => return Ok(Accounts::unknown(problem)),
            }
        }
        let groups = found.pop().flatten();
        Ok(AccountFiles { users: found.pop().flatten(), groups }.into())
    }

    /// Returns the file at `path`, and the content to which symlinks there lead, if it is needed.
    async fn found_file(
        &self,
        path: &str,
        needs_content: bool,
    ) -> Result<Reading<Option<FoundFile>>, HarnessError> {
        let limit = if needs_content { ARCHIVE_MAX } else { HEADER_MAX };
        let mut info = match self.read_file(path, false, limit).await? {
            Ok(Some(info)) => info,
            Ok(None) => return Ok(Ok(None)),
            Err(problem) => return Ok(Err(problem)),
        };
        let target = match info.kind {
            MemberKind::Symlink if needs_content => self.read_file(path, true, limit).await?,
            _ => Ok(Some(FileInfo { content: info.content.take(), ..info.clone() })),
        };
        Ok(Ok(Some(FoundFile { info, target: (path.to_owned(), target) })))
    }

    /// Reads the file at `path` within `limit` bytes. A file that cannot be read, such as a socket,
    /// is not an error of the engine.
    async fn read_file(
        &self,
        path: &str,
        follow: bool,
        limit: usize,
    ) -> Result<Reading<Option<FileInfo>>, HarnessError> {
        let is_in_memory = self.expected.is_in_memory(path);
        match self.copy_out(path, follow, limit).await {
            Ok(None) => Ok(Ok(None)),
            Ok(Some(archive)) => Ok(first_entry(&archive).map(Some).map_err(of_file(path))),
            // Other files of a container that has ended may be read.
            Err(error) if error.is_unsupported() && is_in_memory => {
                Ok(Err(of_file(path)(io::Error::other(chain(&error)))))
            }
            Err(error) if concerns_engine(&error) => Err(error),
            Err(error) => Ok(Err(of_file(path)(io::Error::other(chain(&error))))),
        }
    }

    /// Reads the packages in the databases of dpkg and apk.
    async fn packages(&self) -> Result<Reading<Option<Vec<Package>>>, HarnessError> {
        let mut found = Databases::default();
        for (path, add) in databases::FILES {
            let path = format!("/{path}");
            let content = match self.read_file(&path, true, ARCHIVE_MAX).await? {
                Ok(file) => file.and_then(|file| file.content),
                Err(problem) => return Ok(Err(problem)),
            };
            if let Some(content) = content
                && let Err(problem) = add(&mut found, &content, None)
            {
                return Ok(Err(problem));
            }
        }
        let folder = format!("/{}", databases::FOLDER);
        let copied = match self.container {
            Container::Cri(_) => self.copy_out(&folder, true, ARCHIVE_MAX).await,
            // With the files in the folder.
            container => {
                container.copy_out(&folder, true, ARCHIVE_MAX).await.map_err(HarnessError::from)
            }
        };
        let added = match copied {
            Ok(Some(_)) if matches!(self.container, Container::Cri(_)) => Err(NO_LIST.to_owned()),
            Ok(Some(archive)) if archive.len() >= ARCHIVE_MAX => Err("it is too large".to_owned()),
            Ok(archive) => add_folder(&mut found, &archive.unwrap_or_default())
                .map_err(|problem| problem.to_string()),
            Err(error) if concerns_engine(&error) => return Err(error),
            Err(error) => Err(chain(&error)),
        };
        Ok(added.map_err(io::Error::other).map_err(of_file(&folder)).map(|()| found.packages()))
    }
}

/// Whether the engine cannot read any file, rather than a certain one.
fn concerns_engine(error: &HarnessError) -> bool {
    error.is_of_lost_engine() || error.is_unsupported()
}

fn of_file(path: &str) -> impl Fn(io::Error) -> String {
    move |problem| format!("failed to read {} of the container: {problem}", text::shorten(path))
}

/// Adds the packages of a folder with a file for each of them, whose tar is `archive`.
fn add_folder(found: &mut Databases, archive: &[u8]) -> io::Result<()> {
    if archive.is_empty() {
        return Ok(());
    }
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let is_database = databases::is_of_package(&entry.path_bytes());
        if entry.header().entry_type().is_file() && is_database && entry.size() <= CONTENT_MAX {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            found.add_debian(&content, None).map_err(io::Error::other)?;
        }
    }
    Ok(())
}
