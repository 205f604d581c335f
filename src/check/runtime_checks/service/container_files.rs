//! Reads files in the container of a service.

use std::io;

use super::Service;
use crate::archive::files::{CONTENT_MAX, FileInfo};
use crate::archive::tar::MemberKind;
use crate::check::comparison::Unread;
use crate::check::comparison::account_files::{self, AccountFiles, GROUPS, USERS};
use crate::harness::HarnessError;
use crate::harness::container_files::{self, ContainerFile, FileError, FileRequest};
use crate::linux::container_user::UserIds;
use crate::text;

/// The most files that are read together, so that the memory for them is limited.
pub(super) const FILES_MAX: usize = 64;
/// The largest file that is read together with others, in bytes.
pub(super) const SMALL_MAX: usize = 1 << 20;

/// The reason why owners of files are not known.
pub(super) const NO_OWNER: &str =
    "Podman does not return the owners of files of a container that has ended";

/// A file, or the reason why it is not read.
pub(super) type Found = Result<ContainerFile, FileError>;

/// A file that is needed.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub path: &'a str,
    /// Whether a symlink at the path itself is followed.
    pub follow: bool,
    pub needs_content: bool,
}

impl<'a> Wanted<'a> {
    /// The content of the file at `path`, or where symlinks there lead.
    pub(super) fn content_at(path: &'a str) -> Self {
        Self { path, follow: true, needs_content: true }
    }

    /// The file at `path`, or where symlinks there lead, without its content.
    pub(super) fn metadata_at(path: &'a str) -> Self {
        Self { path, follow: true, needs_content: false }
    }
}

impl Service<'_> {
    /// Reads files as `user`, or with rights to read all files. Of a large file, the content may
    /// be missing: [`with_content`](Self::with_content) reads it. If a file is late, it and all
    /// that are read after it are [`FileError::Late`].
    ///
    /// # Errors
    /// If a request fails, or the engine has no files of a container that has ended.
    pub(super) async fn read(
        &mut self,
        wanted: &[Wanted<'_>],
        user: Option<&UserIds>,
    ) -> Result<Vec<Found>, HarnessError> {
        self.read_up_to(SMALL_MAX, wanted, user).await
    }

    /// Returns the file that was found with its content, if it is needed and not too large.
    pub(super) async fn with_content(
        &mut self,
        wanted: Wanted<'_>,
        found: Found,
        user: Option<&UserIds>,
    ) -> Result<Found, HarnessError> {
        let is_missing = found.as_ref().is_ok_and(|file| {
            let is_readable = file.content_error.is_none() && file.info.size <= CONTENT_MAX;
            file.info.kind == MemberKind::File && file.info.content.is_none() && is_readable
        });
        if !is_missing || !wanted.needs_content {
            return Ok(found);
        }
        let large = self.read_up_to(CONTENT_MAX as usize, &[wanted], user).await?.pop();
        Ok(large.unwrap_or(found))
    }

    async fn read_up_to(
        &mut self,
        content_max: usize,
        wanted: &[Wanted<'_>],
        user: Option<&UserIds>,
    ) -> Result<Vec<Found>, HarnessError> {
        let requests: Vec<FileRequest> = wanted
            .iter()
            .map(|wanted| FileRequest {
                path: wanted.path.to_owned(),
                follow: wanted.follow,
                content_max: wanted.needs_content.then_some(content_max),
                ends_with_container: self.ends_with_container(wanted.path),
            })
            .collect();
        if requests.is_empty() || self.is_late {
            return Ok(requests.iter().map(|_| Err(FileError::Late)).collect());
        }
        let daemon = self.image.daemon();
        let found = container_files::read(daemon, self.container, &requests, user).await?;
        self.is_late = found.iter().any(|file| matches!(file, Err(FileError::Late)));
        Ok(found)
    }

    /// Whether the file at `path` is in a file system that is there only while the container runs,
    /// also if symlinks of the image lead there.
    pub(super) fn ends_with_container(&self, path: &str) -> bool {
        let resolved = self.of_image.and_then(|image| image.folder_resolved(path));
        let paths = [Some(path.to_owned()), resolved];
        paths.iter().flatten().any(|path| self.expected.ends_with_container(path))
    }

    /// Reads the files at `paths` as a whole. Those that do not exist are `None`.
    pub(super) async fn whole(
        &mut self,
        paths: &[&str],
        user: Option<&UserIds>,
    ) -> Result<Vec<Result<Option<FileInfo>, Unread>>, HarnessError> {
        let wanted: Vec<_> = paths.iter().map(|path| Wanted::content_at(path)).collect();
        let mut files = Vec::new();
        for (wanted, found) in wanted.iter().zip(self.read(&wanted, user).await?) {
            let found = self.with_content(*wanted, found, user).await?;
            files.push(info_of(wanted.path, found));
        }
        Ok(files)
    }

    /// Reads the account files as `user`, or with rights to read all files.
    pub(super) async fn account_files(
        &mut self,
        user: Option<&UserIds>,
    ) -> Result<AccountFiles, HarnessError> {
        let paths = [USERS, GROUPS];
        let found = self.whole(&paths, user).await?;
        let mut files = paths.iter().zip(found).map(|(path, found)| match found? {
            Some(found) => account_files::lines(path, &found),
            None => Ok(None),
        });
        let mut next = || files.next().unwrap_or(Ok(None));
        Ok(AccountFiles { users: next(), groups: next() })
    }
}

/// Returns the file that was found at `path`, with its content; `None` if it does not exist.
pub(super) fn info_of(path: &str, found: Found) -> Result<Option<FileInfo>, Unread> {
    match found {
        Ok(ContainerFile { content_error: Some(error), .. }) => {
            Err(unread(path, &FileError::System(error)))
        }
        Ok(file) => Ok(Some(file.info)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(unread(path, &error)),
    }
}

/// The reason why the file at `path` is not read. What the kernel refuses, it refuses to goss, too.
pub(super) fn unread(path: &str, error: &FileError) -> Unread {
    let problem = of_file(path)(io::Error::other(error.to_string()));
    match error {
        FileError::System(_) => Unread::Refused(problem),
        FileError::Late | FileError::Other(_) => Unread::Unknown(problem),
    }
}

/// The problem of a file that is not read.
pub(super) fn of_file(path: &str) -> impl Fn(io::Error) -> String {
    move |problem| format!("failed to read {} of the container: {problem}", text::shorten(path))
}
