//! A file of an image or a container.

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512};

use super::accounts::Accounts;
use crate::archive::files::FileInfo;
use crate::archive::tar::{MemberKind, SpecialKind};
use crate::check::expectations::{Found, GossProperty};
use crate::check::static_checks::file;

/// A file, and the content to which symlinks at its path lead.
pub(in crate::check) struct FoundFile {
    pub info: FileInfo,
    /// The path to which the symlinks lead, and the file there; or why it is not known.
    pub target: (String, Result<Option<FileInfo>, String>),
}

impl FoundFile {
    /// Returns a property, or the reason why it is not known.
    pub(super) fn property(
        &self,
        property: GossProperty,
        accounts: &Accounts,
    ) -> Result<Option<Found>, String> {
        let of_content: fn(&[u8]) -> String = match property {
            GossProperty::Contents => |content| String::from_utf8_lossy(content).into_owned(),
            GossProperty::Md5 => |content| hex::encode(Md5::digest(content)),
            GossProperty::Sha256 => |content| hex::encode(Sha256::digest(content)),
            GossProperty::Sha512 => |content| hex::encode(Sha512::digest(content)),
            _ => return self.metadata(property, accounts),
        };
        let (path, target) = &self.target;
        let target = target.as_ref().map_err(Clone::clone)?.as_ref();
        let content = target.map(|target| file::content(path, target)).transpose()?;
        Ok(content.flatten().map(|content| Found::Text(of_content(content))))
    }

    fn metadata(
        &self,
        property: GossProperty,
        accounts: &Accounts,
    ) -> Result<Option<Found>, String> {
        let info = &self.info;
        let text = |text: String| Some(Found::Text(text));
        Ok(match property {
            GossProperty::Mode => text(format!("{:04o}", info.mode)),
            GossProperty::Size => Some(Found::Number(info.size as f64)),
            GossProperty::Uid => Some(Found::Number(info.uid as f64)),
            GossProperty::Gid => Some(Found::Number(info.gid as f64)),
            GossProperty::Owner => accounts.user_name(info.uid)?,
            GossProperty::Group => accounts.group_name(info.gid)?,
            GossProperty::LinkedTo if info.kind == MemberKind::Symlink => {
                text(String::from_utf8_lossy(&info.link).into_owned())
            }
            GossProperty::Filetype => text(filetype(info.kind).to_owned()),
            _ => None,
        })
    }
}

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
