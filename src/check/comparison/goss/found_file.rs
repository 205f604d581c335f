//! A file of an image or a container.

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512};

use crate::archive::files::FileInfo;
use crate::archive::tar::{MemberKind, SpecialKind};
use crate::check::comparison::account_files::AccountFiles;
use crate::check::comparison::{Unread, content};
use crate::check::expectations::{Found, GossProperty};

/// A file, and the content to which symlinks at its path lead.
pub(in crate::check) struct FoundFile {
    pub info: FileInfo,
    pub is_socket: bool,
    /// The size as lstat(2) returns it, or the reason why it is not known.
    pub size: Result<u64, String>,
    /// The reason why the owner is not known, if it is not.
    pub no_owner: Option<&'static str>,
    /// The path to which the symlinks lead, and the file there; or why it is not read.
    pub target: (String, Result<Option<FileInfo>, Unread>),
}

impl FoundFile {
    /// A file of an image or of a container that has ended. The size of a folder depends on its
    /// file system.
    pub(in crate::check) fn of_image(
        info: FileInfo,
        target: (String, Result<Option<FileInfo>, Unread>),
    ) -> Self {
        let size = match info.kind {
            MemberKind::Symlink => Ok(info.link.len() as u64),
            MemberKind::Directory => Err(NO_SIZE.to_owned()),
            _ => Ok(info.size),
        };
        Self { info, is_socket: false, size, no_owner: None, target }
    }

    /// Returns a property, or the reason why it is not known.
    pub(super) fn property(
        &self,
        property: GossProperty,
        accounts: &AccountFiles,
    ) -> Result<Option<Found>, Unread> {
        let of_content: fn(&[u8]) -> String = match property {
            GossProperty::Contents => |content| String::from_utf8_lossy(content).into_owned(),
            GossProperty::Md5 => |content| hex::encode(Md5::digest(content)),
            GossProperty::Sha256 => |content| hex::encode(Sha256::digest(content)),
            GossProperty::Sha512 => |content| hex::encode(Sha512::digest(content)),
            _ => return self.metadata(property, accounts),
        };
        let (path, target) = &self.target;
        let target = target.as_ref().map_err(Clone::clone)?.as_ref();
        let content = target.map(|target| content(path, target)).transpose()?;
        Ok(content.flatten().map(|content| Found::Text(of_content(content))))
    }

    fn metadata(
        &self,
        property: GossProperty,
        accounts: &AccountFiles,
    ) -> Result<Option<Found>, Unread> {
        let info = &self.info;
        let text = |text: String| Some(Found::Text(text));
        let is_owner = matches!(
            property,
            GossProperty::Uid | GossProperty::Gid | GossProperty::Owner | GossProperty::Group
        );
        if let Some(reason) = self.no_owner.filter(|_| is_owner) {
            return Err(reason.to_owned().into());
        }
        Ok(match property {
            GossProperty::Mode => text(format!("{:04o}", info.mode)),
            GossProperty::Size => Some(Found::Number(self.size.clone()? as f64)),
            GossProperty::Uid => Some(Found::Number(info.uid as f64)),
            GossProperty::Gid => Some(Found::Number(info.gid as f64)),
            GossProperty::Owner => accounts.user_name(info.uid)?,
            GossProperty::Group => accounts.group_name(info.gid)?,
            GossProperty::LinkedTo if info.kind == MemberKind::Symlink => {
                text(String::from_utf8_lossy(&info.link).into_owned())
            }
            GossProperty::Filetype if self.is_socket => text("socket".to_owned()),
            GossProperty::Filetype => text(filetype(info.kind).to_owned()),
            _ => None,
        })
    }
}

/// The reason why the size of a folder is not known.
const NO_SIZE: &str = "only a container that runs has the size of a folder";

fn filetype(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::File | MemberKind::HardLink => "file",
        MemberKind::Directory => "directory",
        MemberKind::Symlink => "symlink",
        MemberKind::Special(SpecialKind::CharDevice(..)) => "character-device",
        MemberKind::Special(SpecialKind::BlockDevice(..)) => "block-device",
        MemberKind::Special(SpecialKind::Fifo) => "pipe",
    }
}
