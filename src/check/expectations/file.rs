//! Expectations of files in the image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Mode, Sha256Digest, SizeOrText, size};
use crate::conditions::Text;
use crate::text;

/// Expectations of a file in the image.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileExpectations {
    /// The name of the test case; by default the path.
    pub name: Option<String>,
    /// The path. Symlinks in parent folders are followed; a symlink at the path itself is not,
    /// unless `follow` is true.
    pub path: String,
    /// Whether the path is taken literally in a file whose paths contain variables.
    #[serde(skip)]
    pub(in crate::check) is_literal: bool,
    /// Whether a symlink at the path itself is followed; false by default.
    #[serde(default)]
    pub follow: bool,
    /// Whether the file exists; true by default.
    pub exists: Option<bool>,
    /// The type of the file.
    #[serde(rename = "type")]
    pub kind: Option<FileType>,
    /// The permission bits in octal, such as `"0755"`.
    pub mode: Option<Mode>,
    /// Whose permission bits allow execution.
    pub executable_by: Option<ExecutableBy>,
    /// The numeric user ID.
    pub uid: Option<u64>,
    /// The numeric group ID.
    pub gid: Option<u64>,
    /// The name of the user, in the `/etc/passwd` of the image, or of the container of a service.
    pub user: Option<String>,
    /// The name of the group, in the `/etc/group` of the image, or of the container of a service.
    pub group: Option<String>,
    /// The size in bytes, or text with a unit such as `"20 MiB"`.
    #[serde(default, deserialize_with = "size")]
    #[schemars(with = "Option<SizeOrText>")]
    pub size: Option<u64>,
    /// The target of a symlink.
    pub target: Option<String>,
    /// The SHA-256 digest of the content, 64 hex digits.
    pub sha256: Option<Sha256Digest>,
    /// The content as text.
    pub content: Option<Text>,
}

impl FileExpectations {
    /// A file at `path`, of which nothing else is expected.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// Whether the path ends in a slash, so that only a folder or a symlink to one is found.
    pub(in crate::check) fn is_folder(&self) -> bool {
        self.path.ends_with('/') && !self.path.trim_end_matches('/').is_empty()
    }

    /// Describes a mistake in the expectations, if there is one.
    pub(in crate::check) fn mistake(&self) -> Option<String> {
        let path = text::quote(&self.path);
        if let Some(mistake) = self.path_mistake() {
            return Some(mistake);
        }
        let properties = [
            ("type", self.kind.is_some()),
            ("mode", self.mode.is_some()),
            ("executable_by", self.executable_by.is_some()),
            ("uid", self.uid.is_some()),
            ("gid", self.gid.is_some()),
            ("user", self.user.is_some()),
            ("group", self.group.is_some()),
            ("size", self.size.is_some()),
            ("target", self.target.is_some()),
            ("sha256", self.sha256.is_some()),
            ("content", self.content.is_some()),
        ];
        let names = [("user", "uid", &self.user), ("group", "gid", &self.group)];
        let is_empty = |name: &Option<String>| name.as_ref().is_some_and(String::is_empty);
        if let Some((key, ..)) = names.into_iter().find(|(.., name)| is_empty(name)) {
            return Some(format!("the {key} of file {path} is empty"));
        }
        let is_id = |name: &Option<String>| {
            name.as_ref().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if let Some((key, id, _)) = names.into_iter().find(|(_, _, name)| is_id(name)) {
            return Some(format!("{key} of file {path} is a name; write numbers as {id}"));
        }
        let (name, _) = properties.into_iter().find(|(_, is_given)| *is_given)?;
        (self.exists == Some(false))
            .then(|| format!("file {path} must not exist, so its {name} is never checked"))
    }

    /// Describes why no file can be at the path, so that one which must not exist never does.
    fn path_mistake(&self) -> Option<String> {
        let path = text::quote(&self.path);
        if self.path.is_empty() {
            return Some("a file has an empty path".to_owned());
        }
        if self.path.starts_with('~') {
            return Some(format!(
                "invalid path {path} of a file; expected an absolute path: no shell replaces ~"
            ));
        }
        if !self.path.starts_with('/') {
            return Some(format!("invalid path {path} of a file; expected an absolute path"));
        }
        (self.is_folder() && self.exists == Some(false)).then(|| {
            format!(
                "file {path} must not exist, but only a folder would be found there; leave out \
                 the slash at the end"
            )
        })
    }
}

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A device, a named pipe or a socket.
    Special,
}

/// A class of users, as in a file's permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExecutableBy {
    /// The file's owner.
    Owner,
    /// The file's group.
    Group,
    /// All other users.
    Other,
    /// At least one of the others.
    Any,
}

impl ExecutableBy {
    /// The permission bits of which at least one must be set.
    pub fn bits(self) -> u32 {
        match self {
            Self::Owner => 0o100,
            Self::Group => 0o010,
            Self::Other => 0o001,
            Self::Any => 0o111,
        }
    }
}
