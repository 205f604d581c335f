//! The account files of an image or a container.

use super::{Unread, content};
use crate::archive::files::FileInfo;
use crate::linux::account_file::{self, Lines};

/// The path of the file with the users. Symlinks there are followed.
pub(in crate::check) const USERS: &str = "/etc/passwd";
/// The path of the file with the groups.
pub(in crate::check) const GROUPS: &str = "/etc/group";

/// The lines of an account file; `None` if there is no such file. Or the reason why it is not read.
pub(in crate::check) type AccountFile = Result<Option<Lines>, Unread>;

/// The account files of an image or a container.
#[derive(Debug)]
pub(in crate::check) struct AccountFiles {
    pub users: AccountFile,
    pub groups: AccountFile,
}

impl Default for AccountFiles {
    fn default() -> Self {
        Self { users: Ok(None), groups: Ok(None) }
    }
}

/// Returns the lines of the file that was found at `path`, which are none if it is not regular.
pub(in crate::check) fn lines(path: &str, found: &FileInfo) -> AccountFile {
    let content = content(path, found)?;
    Ok(content.map(|content| account_file::lines(&String::from_utf8_lossy(content))))
}
