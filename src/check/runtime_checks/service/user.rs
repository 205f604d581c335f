//! The user of commands in the container of a service.

use super::Service;
use crate::check::comparison::Unread;
use crate::check::comparison::account_files::AccountFiles;
use crate::engine::Container;
use crate::harness::HarnessError;
use crate::linux::account_file::Lines;
use crate::linux::container_user::{self, UserIds};

impl Service<'_> {
    /// Returns the numbers of the user with which an engine runs commands in the container; or a
    /// sentence that says why they are not known.
    ///
    /// # Errors
    /// If a request fails.
    pub(super) async fn user(&mut self) -> Result<Result<UserIds, String>, HarnessError> {
        if let Some(user) = &self.user {
            return Ok(Ok(user.clone()));
        }
        let user = match lines(self.account_files(None).await?) {
            Ok([passwd, group]) => self.find_user((&passwd, &group)),
            Err(unread) => Err(unread.to_string()),
        };
        self.user = user.clone().ok();
        Ok(user.map_err(|problem| format!("failed to find the container's user: {problem}")))
    }

    fn find_user(&self, files: (&Lines, &Lines)) -> Result<UserIds, String> {
        let files = (files.0.as_slice(), files.1.as_slice());
        let of_image = self.of_image.and_then(|image| image.image.config.config.user.as_deref());
        let (of_image, container) = (of_image.unwrap_or_default(), &self.expected.container);
        let (user, groups) = (container.user.as_deref(), &container.groups);
        match self.container {
            Container::Cri(_) => container_user::find_over_cri(of_image, user, groups, files),
            _ => container_user::find(user.unwrap_or(of_image), groups, files),
        }
    }
}

/// The lines of the account files, which have none if they do not exist.
fn lines(AccountFiles { users, groups }: AccountFiles) -> Result<[Lines; 2], Unread> {
    Ok([users?.unwrap_or_default(), groups?.unwrap_or_default()])
}
