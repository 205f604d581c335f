//! Reads files in the container of a service.

use super::Service;
use crate::archive::files::CONTENT_MAX;
use crate::archive::tar::MemberKind;
use crate::check::comparison::goss::ACCOUNT_FILES;
use crate::harness::HarnessError;
use crate::harness::container_files::{self, ContainerFile, FileError, FileRequest};
use crate::linux::account_file::{self, Lines};
use crate::linux::container_user::{self, UserIds};

/// The most files that are read together, so that the memory for them is limited.
pub(super) const FILES_MAX: usize = 64;
/// The largest file that is read together with others, in bytes.
const SMALL_MAX: usize = 1 << 20;

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

impl Service<'_> {
    /// Reads files as `user`, or with rights to read all files. Of a large file, the content may
    /// be missing: [`with_content`](Self::with_content) reads it.
    ///
    /// # Errors
    /// If a request fails, or the engine has no files of a container that has ended.
    pub(super) async fn read(
        &self,
        wanted: &[Wanted<'_>],
        user: Option<&UserIds>,
    ) -> Result<Vec<Found>, HarnessError> {
        self.read_up_to(SMALL_MAX, wanted, user).await
    }

    /// Returns the file that was found with its content, if it is needed and not too large.
    pub(super) async fn with_content(
        &self,
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
        &self,
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
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        container_files::read(self.image.daemon(), self.container, &requests, user).await
    }

    /// Whether the file at `path` is in a file system that is there only while the container runs,
    /// also if symlinks of the image lead there.
    pub(super) fn ends_with_container(&self, path: &str) -> bool {
        let resolved = self.of_image.and_then(|image| image.folder_resolved(path));
        let paths = [Some(path.to_owned()), resolved];
        paths.iter().flatten().any(|path| self.expected.ends_with_container(path))
    }

    /// Returns the numbers of the user with which an engine runs commands in the container.
    ///
    /// # Errors
    /// If a request fails.
    pub(super) async fn user(&mut self) -> Result<Result<UserIds, String>, HarnessError> {
        if let Some(user) = &self.user {
            return Ok(user.clone());
        }
        let of_image = self.of_image.and_then(|image| image.image.config.config.user.clone());
        let container = &self.expected.container;
        let name = container.user.clone().or(of_image).unwrap_or_default();
        let groups = &container.groups;
        let is_root = matches!(&*name, "" | "0" | "root") && groups.is_empty();
        let [passwd, group] = if is_root { Default::default() } else { self.accounts().await? };
        let user = container_user::find(&name, groups, (&passwd, &group));
        Ok(self.user.insert(user).clone())
    }

    /// Reads the lines of the account files, which have none if they cannot be read.
    async fn accounts(&self) -> Result<[Lines; 2], HarnessError> {
        let wanted = ACCOUNT_FILES.map(account_file_at);
        let mut found = self.read(&wanted, None).await?.into_iter();
        let mut lines = || {
            let content = found.next()?.ok()?.info.content?;
            Some(account_file::lines(&String::from_utf8_lossy(&content)))
        };
        Ok([lines().unwrap_or_default(), lines().unwrap_or_default()])
    }
}

/// An account file at this path.
pub(super) fn account_file_at(path: &str) -> Wanted<'_> {
    Wanted { path, follow: true, needs_content: true }
}
