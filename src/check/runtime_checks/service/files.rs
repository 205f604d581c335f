//! Files in the running container of a service.

use std::io::Read;

use tar::EntryType;

use super::Service;
use crate::archive::files::{CONTENT_MAX, FileInfo};
use crate::archive::tar::{MemberKind, SpecialKind};
use crate::check::expectations::FileExpectations;
use crate::check::owner_names::{GROUPS, OwnerNames, USERS};
use crate::check::static_checks::file;
use crate::engine::EngineError;
use crate::harness::HarnessError;
use crate::harness::container_files::CopyOut;

/// The most bytes of a file with its header.
pub(super) const ARCHIVE_MAX: usize = CONTENT_MAX as usize + (1 << 20);
/// The advice for a large file, which is only in this container.
const IN_EXEC: &str = "; a command in exec of the service, such as sha256sum, can check it";

impl Service<'_> {
    pub(super) async fn check_file(
        &mut self,
        expected: &FileExpectations,
    ) -> Result<(), HarnessError> {
        let subject = format!("file {}", expected.name.as_ref().unwrap_or(&expected.path));
        let (found, owners) = match self.file_and_owners(expected).await {
            // A service that ends too early fails for that.
            Err(error) if error.is_unsupported() => {
                self.checks.problem(format!("failed to check {subject}: {error}"));
                return Ok(());
            }
            found => found?,
        };
        let checks = file::check(expected, found.as_ref(), &owners, IN_EXEC);
        self.checks.append(&subject, checks);
        Ok(())
    }

    /// Reads the file, and the account files of the container that `expected` needs.
    async fn file_and_owners(
        &self,
        expected: &FileExpectations,
    ) -> Result<(Option<FileInfo>, OwnerNames), HarnessError> {
        let found = self.file(&expected.path, expected.follow).await?;
        let mut owners = OwnerNames::default();
        if expected.user.is_some()
            && let Some(found) = self.file(USERS, true).await?
        {
            owners.users.read(file::content(USERS, &found));
        }
        if expected.group.is_some()
            && let Some(found) = self.file(GROUPS, true).await?
        {
            owners.groups.read(file::content(GROUPS, &found));
        }
        Ok((found, owners))
    }

    /// Returns a tar of at most `limit` bytes with the file at `path`, if it exists. Below mounts
    /// that end with the container, it cannot be read when that has ended.
    pub(super) async fn copy_out(
        &self,
        path: &str,
        follow: bool,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, HarnessError> {
        let in_memory = self.expected.is_in_memory(path);
        let (daemon, container) = (self.image.daemon(), self.container);
        CopyOut { daemon, container, path, follow, limit, in_memory }.archive().await
    }

    async fn file(&self, path: &str, follow: bool) -> Result<Option<FileInfo>, HarnessError> {
        let Some(archive) = self.copy_out(path, follow, ARCHIVE_MAX).await? else {
            return Ok(None);
        };
        let file = first_entry(&archive).map_err(|error| {
            EngineError::Unexpected(format!("failed to read {path} of the container: {error}"))
        })?;
        Ok(Some(file))
    }
}

/// Reads the first entry of a tar, which may be cut: then it has no content.
pub(super) fn first_entry(archive: &[u8]) -> std::io::Result<FileInfo> {
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries()?.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
    let header = entry.header();
    let number = |number: Option<u32>| number.unwrap_or_default();
    let (major, minor) = (number(header.device_major()?), number(header.device_minor()?));
    let kind = match header.entry_type() {
        EntryType::Directory => MemberKind::Directory,
        EntryType::Symlink => MemberKind::Symlink,
        EntryType::Fifo => MemberKind::Special(SpecialKind::Fifo),
        EntryType::Char => MemberKind::Special(SpecialKind::CharDevice(major, minor)),
        EntryType::Block => MemberKind::Special(SpecialKind::BlockDevice(major, minor)),
        _ => MemberKind::File,
    };
    let (mode, mtime) = (header.mode()? & 0o7777, header.mtime()?.cast_signed());
    let (uid, gid, size) = (header.uid()?, header.gid()?, entry.size());
    let link = entry.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default();
    let content = match kind {
        MemberKind::File if size <= CONTENT_MAX => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            Some(content).filter(|content| content.len() as u64 == size)
        }
        _ => None,
    };
    let xattrs = Default::default();
    Ok(FileInfo { kind, mode, uid, gid, size, mtime, xattrs, link, content })
}
