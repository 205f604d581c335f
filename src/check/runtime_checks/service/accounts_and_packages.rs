//! The accounts and packages of the container of a service, for tests of a goss file.

use std::io::{self, Read};

use rustix::io::Errno;

use super::Service;
use super::container_files::{FILES_MAX, Found, SMALL_MAX, Wanted, info_of, of_file, unread};
use crate::archive::files::{CONTENT_MAX, FileInfo};
use crate::archive::tar::MemberKind;
use crate::check::comparison::goss::{self, AccountsAndPackages, Packages};
use crate::check::comparison::{Unread, content};
use crate::check::expectations::PropertyExpectations;
use crate::harness::HarnessError;
use crate::harness::container_files::FileError;
use crate::linux::container_user::UserIds;
use crate::sbom::Package;
use crate::sbom::databases::{self, Databases};
use crate::text::errors::chain;

/// The most bytes of a tar with the files of packages in a folder.
const ARCHIVE_MAX: usize = CONTENT_MAX as usize + (1 << 20);
/// The most files about single packages that are read in a running container.
const PACKAGE_FILES_MAX: usize = 4096;

/// The reason why packages are not known.
enum Problem {
    /// A file is not read.
    Unread(Unread),
    /// A request fails.
    Harness(HarnessError),
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Unread(problem.into())
    }
}

impl From<HarnessError> for Problem {
    fn from(error: HarnessError) -> Self {
        Self::Harness(error)
    }
}

impl Service<'_> {
    /// Reads the accounts and packages for `tests`.
    pub(super) async fn accounts_and_packages(
        &mut self,
        tests: &[&PropertyExpectations],
        user: Option<&UserIds>,
    ) -> Result<AccountsAndPackages, HarnessError> {
        let mut known = AccountsAndPackages::default();
        if goss::need_accounts(tests) {
            known.accounts = self.account_files(user).await?;
        }
        if goss::need_packages(tests) {
            known.packages = Packages::new(match self.packages(user).await {
                Ok(packages) => Ok(packages),
                Err(Problem::Unread(unread)) => Err(unread),
                Err(Problem::Harness(error)) => return Err(error),
            });
        }
        Ok(known)
    }

    /// Reads the packages in the databases of dpkg and apk.
    async fn packages(&mut self, user: Option<&UserIds>) -> Result<Option<Vec<Package>>, Problem> {
        let mut found = Databases::default();
        let paths = databases::FILES.map(|(path, _)| format!("/{path}"));
        let files = self.whole(&paths.each_ref().map(String::as_str), user).await?;
        for (((_, add), path), database) in databases::FILES.iter().zip(&paths).zip(files) {
            let Some(database) = database? else { continue };
            if let Some(content) = content(path, &database)? {
                add(&mut found, content, None)?;
            }
        }
        self.add_folder(&mut found, &format!("/{}", databases::FOLDER), user).await?;
        match found.packages() {
            None => self.refuse_others(user).await.map(|()| None),
            packages => Ok(packages),
        }
    }

    /// Refuses databases that are not read.
    async fn refuse_others(&mut self, user: Option<&UserIds>) -> Result<(), Problem> {
        let paths = databases::UNREAD.map(|(path, _)| format!("/{path}"));
        let wanted = paths.each_ref().map(|path| Wanted::metadata_at(path));
        let files = self.read(&wanted, user).await?;
        let mut others = databases::UNREAD.iter().zip(files);
        match others.find(|(_, file)| file.is_ok()) {
            Some(((_, manager), _)) => Err(databases::is_unread(manager).into()),
            None => Ok(()),
        }
    }

    /// Adds the packages of a folder with a file for each of them.
    async fn add_folder(
        &mut self,
        found: &mut Databases,
        folder: &str,
        user: Option<&UserIds>,
    ) -> Result<(), Problem> {
        let listed = match self.read(&[Wanted::content_at(folder)], user).await?.pop() {
            Some(Ok(listed)) if listed.info.kind == MemberKind::Directory => listed,
            Some(Err(error)) if !error.is_absent() => return Err(unread(folder, &error).into()),
            _ => return Ok(()),
        };
        // The engine has returned the folder of a container that has ended.
        if listed.stat_size.is_none() {
            return self.add_archive(found, folder).await;
        }
        match listed.content_error {
            Some(Errno::TOOBIG) => return Err(too_many(folder)),
            Some(error) => return Err(unread(folder, &FileError::System(error)).into()),
            None => {}
        }
        let names = listed.names.iter().filter(|name| databases::is_of_package(name.as_bytes()));
        let paths: Vec<String> = names.map(|name| format!("{folder}/{name}")).collect();
        if paths.len() > PACKAGE_FILES_MAX {
            return Err(too_many(folder));
        }
        for paths in paths.chunks(FILES_MAX) {
            let wanted: Vec<_> = paths.iter().map(|path| Wanted::content_at(path)).collect();
            for (path, file) in paths.iter().zip(self.read(&wanted, user).await?) {
                if let Some(content) = of_package(path, file)? {
                    found
                        .add_debian(&content, None)
                        .map_err(io::Error::other)
                        .map_err(of_file(folder))?;
                }
            }
        }
        Ok(())
    }

    /// The same for a container that has ended: the engine returns the folder with its files.
    async fn add_archive(&mut self, found: &mut Databases, folder: &str) -> Result<(), Problem> {
        let copied = self.container.copy_out(folder, true, ARCHIVE_MAX).await;
        let added = match copied.map_err(HarnessError::from) {
            Ok(Some(archive)) if archive.len() >= ARCHIVE_MAX => Err("it is too large".to_owned()),
            Ok(archive) => add_entries(found, &archive.unwrap_or_default())
                .map_err(|problem| problem.to_string()),
            Err(error) if error.is_of_lost_engine() || error.is_unsupported() => {
                return Err(error.into());
            }
            Err(error) => Err(chain(&error)),
        };
        Ok(added.map_err(io::Error::other).map_err(of_file(folder))?)
    }
}

/// The problem of a folder with more files than those of any real image.
fn too_many(folder: &str) -> Problem {
    let problem = format!("it has more than {PACKAGE_FILES_MAX} files about packages");
    of_file(folder)(io::Error::other(problem)).into()
}

/// Returns the content of the file about a package that was found at `path`; `None` if it is not a
/// regular file.
fn of_package(path: &str, found: Found) -> Result<Option<Vec<u8>>, Unread> {
    match info_of(path, found)? {
        Some(FileInfo { kind: MemberKind::File, content: None, size, .. }) => {
            let max = SMALL_MAX >> 20;
            let problem =
                format!("it has {size} bytes, and files about one package have up to {max} MiB");
            Err(of_file(path)(io::Error::other(problem)).into())
        }
        found => Ok(found.and_then(|found| found.content)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::container_files::ContainerFile;

    fn found(size: u64, content: Option<&[u8]>, content_error: Option<Errno>) -> Found {
        let info = FileInfo {
            kind: MemberKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size,
            mtime: 0,
            xattrs: Default::default(),
            link: Vec::new(),
            content: content.map(<[u8]>::to_vec),
        };
        let (names, stat_size) = (Vec::new(), Some(size));
        Ok(ContainerFile {
            info,
            names,
            is_socket: false,
            stat_size,
            has_owner: true,
            content_error,
        })
    }

    #[test]
    fn a_file_about_a_package_is_small_and_readable() {
        let content = of_package("/x", found(1, Some(b"x"), None));
        assert_eq!(content, Ok(Some(b"x".to_vec())));
        let large = of_package("/x", found(64 << 20, None, None)).unwrap_err();
        let expected = "failed to read /x of the container: it has 67108864 bytes, and files about \
                        one package have up to 1 MiB";
        assert_eq!(large, Unread::Unknown(expected.to_owned()));
        let refused = of_package("/x", found(1, None, Some(Errno::ACCESS))).unwrap_err();
        assert!(matches!(refused, Unread::Refused(_)), "{refused}");
        let late = of_package("/x", Err(FileError::Late)).unwrap_err();
        assert!(matches!(late, Unread::Unknown(_)), "{late}");
        // It was removed after its folder was listed.
        assert_eq!(of_package("/x", Err(FileError::System(Errno::NOENT))), Ok(None));
    }
}
