//! The accounts and packages of the container of a service, for tests of a goss file.

use std::io::{self, Read};

use super::Service;
use super::container_files::{FILES_MAX, Wanted, account_file_at};
use crate::archive::files::{CONTENT_MAX, FileInfo};
use crate::archive::tar::MemberKind;
use crate::check::comparison::goss::{self, AccountFiles, Accounts, AccountsAndPackages, Packages};
use crate::check::expectations::PropertyExpectations;
use crate::harness::HarnessError;
use crate::linux::container_user::UserIds;
use crate::sbom::Package;
use crate::sbom::databases::{self, Databases};
use crate::text;
use crate::text::errors::chain;

/// The most bytes of a tar with the files of packages in a folder.
const ARCHIVE_MAX: usize = CONTENT_MAX as usize + (1 << 20);

/// A part of the container; or a sentence that says why it is not known.
type Reading<T> = Result<T, String>;

impl Service<'_> {
    /// Reads the accounts and packages for `tests`.
    pub(super) async fn accounts_and_packages(
        &self,
        tests: &[&PropertyExpectations],
        user: Option<&UserIds>,
    ) -> Result<AccountsAndPackages, HarnessError> {
        let mut known = AccountsAndPackages::default();
        if goss::need_accounts(tests) {
            known.accounts = self.named_accounts(user).await?;
        }
        if goss::need_packages(tests) {
            known.packages = Packages::new(self.packages(user).await?);
        }
        Ok(known)
    }

    async fn named_accounts(&self, user: Option<&UserIds>) -> Result<Accounts, HarnessError> {
        let wanted = goss::ACCOUNT_FILES.map(account_file_at);
        let mut found = Vec::new();
        for file in self.whole(&wanted, user).await? {
            match file {
                Ok(file) => found.push(file),
                Err(problem) => return Ok(Accounts::unknown(problem)),
            }
        }
        let groups = found.pop().flatten();
        Ok(AccountFiles { users: found.pop().flatten(), groups }.into())
    }

    /// Reads files with their contents. Those that do not exist are `None`.
    async fn whole(
        &self,
        wanted: &[Wanted<'_>],
        user: Option<&UserIds>,
    ) -> Result<Vec<Reading<Option<(String, FileInfo)>>>, HarnessError> {
        let mut files = Vec::new();
        for wanted in wanted.chunks(FILES_MAX) {
            let found = self.read(wanted, user).await?;
            for (wanted, found) in wanted.iter().zip(found) {
                let path = wanted.path.to_owned();
                files.push(match self.with_content(*wanted, found, user).await? {
                    Ok(file) => match file.content_error {
                        Some(error) => Err(of_file(&path)(error.into())),
                        None => Ok(Some((path, file.info))),
                    },
                    Err(error) if error.is_absent() => Ok(None),
                    Err(error) => Err(of_file(&path)(io::Error::other(error.to_string()))),
                });
            }
        }
        Ok(files)
    }

    /// Reads the packages in the databases of dpkg and apk.
    async fn packages(
        &self,
        user: Option<&UserIds>,
    ) -> Result<Reading<Option<Vec<Package>>>, HarnessError> {
        let mut found = Databases::default();
        let files: Vec<_> = databases::FILES.iter().map(|(path, _)| format!("/{path}")).collect();
        let wanted: Vec<_> = files.iter().map(|path| account_file_at(path)).collect();
        for ((_, add), file) in databases::FILES.iter().zip(self.whole(&wanted, user).await?) {
            match file {
                Ok(Some((_, FileInfo { content: Some(content), .. }))) => {
                    if let Err(problem) = add(&mut found, &content, None) {
                        return Ok(Err(problem));
                    }
                }
                Ok(_) => {}
                Err(problem) => return Ok(Err(problem)),
            }
        }
        let folder = format!("/{}", databases::FOLDER);
        let added = self.add_folder(&mut found, &folder, user).await?;
        Ok(added.map(|()| found.packages()))
    }

    /// Adds the packages of a folder with a file for each of them.
    async fn add_folder(
        &self,
        found: &mut Databases,
        folder: &str,
        user: Option<&UserIds>,
    ) -> Result<Reading<()>, HarnessError> {
        let listed = match self.read(&[account_file_at(folder)], user).await?.pop() {
            Some(Ok(listed)) if listed.info.kind == MemberKind::Directory => listed,
            Some(Err(error)) if !error.is_absent() => {
                return Ok(Err(of_file(folder)(io::Error::other(error.to_string()))));
            }
            _ => return Ok(Ok(())),
        };
        if let Some(error) = listed.content_error {
            return Ok(Err(of_file(folder)(error.into())));
        }
        // The engine has returned the folder of a container that has ended.
        if listed.stat_size.is_none() {
            return self.add_archive(found, folder).await;
        }
        let names = listed.names.iter().filter(|name| databases::is_of_package(name.as_bytes()));
        let paths: Vec<String> = names.map(|name| format!("{folder}/{name}")).collect();
        let wanted: Vec<_> = paths.iter().map(|path| account_file_at(path)).collect();
        for file in self.whole(&wanted, user).await? {
            let content = match file {
                Ok(Some((_, FileInfo { content: Some(content), .. }))) => content,
                Ok(_) => continue,
                Err(problem) => return Ok(Err(problem)),
            };
            if let Err(problem) = found.add_debian(&content, None) {
                return Ok(Err(of_file(folder)(io::Error::other(problem))));
            }
        }
        Ok(Ok(()))
    }

    /// The same for a container that has ended: the engine returns the folder with its files.
    async fn add_archive(
        &self,
        found: &mut Databases,
        folder: &str,
    ) -> Result<Reading<()>, HarnessError> {
        let copied = self.container.copy_out(folder, true, ARCHIVE_MAX).await;
        let added = match copied.map_err(HarnessError::from) {
            Ok(Some(archive)) if archive.len() >= ARCHIVE_MAX => Err("it is too large".to_owned()),
            Ok(archive) => add_entries(found, &archive.unwrap_or_default())
                .map_err(|problem| problem.to_string()),
            Err(error) if error.is_of_lost_engine() || error.is_unsupported() => return Err(error),
            Err(error) => Err(chain(&error)),
        };
        Ok(added.map_err(io::Error::other).map_err(of_file(folder)))
    }
}

/// The problem of a file that is not read.
pub(super) fn of_file(path: &str) -> impl Fn(io::Error) -> String {
    move |problem| format!("failed to read {} of the container: {problem}", text::shorten(path))
}

/// Adds the packages of a folder, whose tar is `archive`.
fn add_entries(found: &mut Databases, archive: &[u8]) -> io::Result<()> {
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
