//! An entry of `path`: one path of the image that is made, changed or removed.

use std::path::{Path, PathBuf};

use super::settings::{PathKind, PathSettings};
use super::{ModeRule, OwnerSpec, capabilities, host_path, image_path, path_below_root};
use crate::archive::entry::{Xattrs, display_path};
use crate::archive::layer_tree::WHITEOUT;
use crate::archive::tar::CAPABILITIES;
use crate::text;

/// The mode of a file that is made from text.
pub(in crate::build) const FILE_MODE: u32 = 0o644;

/// One path of the image.
#[derive(Clone, Debug)]
pub struct PathEntry {
    /// The path, without slashes at either end.
    pub path: Box<[u8]>,
    /// Whether it is made, changed or removed.
    pub action: PathAction,
    /// Its owner.
    pub owner: Option<OwnerSpec>,
    /// The change of its mode.
    pub mode: Option<ModeRule>,
    /// Whether owner, mode and extended attributes apply to everything below it as well.
    pub recursive: bool,
    /// Its extended attributes, capabilities included.
    pub xattrs: Xattrs,
}

/// The effect of an entry on its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathAction {
    /// It must be there, and changes.
    Change,
    /// It is made.
    Create(Creation),
    /// It is removed.
    Remove,
}

/// A file, directory or link that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// A directory; one that is there keeps what is in it.
    Directory,
    /// A regular file.
    File(FileSource),
    /// A symbolic link to this target.
    Symlink(Box<[u8]>),
    /// Another name of the file at this path.
    HardLink(Box<[u8]>),
    /// A named pipe.
    Fifo,
    /// A character device, by major and minor number.
    CharDevice(u32, u32),
    /// A block device, by major and minor number.
    BlockDevice(u32, u32),
}

/// The content of a file that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// These bytes.
    Inline(Box<[u8]>),
    /// Those of a file on this host.
    Path(PathBuf),
}

/// The namespaces of extended attributes (xattr(7)).
const NAMESPACES: [&str; 4] = ["user.", "trusted.", "security.", "system."];
/// The most bytes that all extended attributes of a file may have, as in ext4 and in PAX records.
const XATTRS_MAX: usize = 64 << 10;

impl PathEntry {
    /// Checks `settings` and resolves paths on the host relative to `folder`.
    pub(in crate::build::recipe) fn new(
        settings: PathSettings,
        folder: &Path,
    ) -> Result<Self, String> {
        let path = path_below_root("path", &settings.path)?;
        let key = format!("path {}", display_path(&path));
        let error = |problem: &str| format!("{key}: {problem}");
        if path.split(|byte| *byte == b'/').any(|part| part.starts_with(WHITEOUT)) {
            return Err(error("names that begin with \".wh.\" mean a removal in a layer"));
        }
        let action = action(&settings, folder).map_err(|problem| error(&problem))?;
        let capabilities = settings.capabilities.map(Vec::from).unwrap_or_default();
        let mut xattrs = xattrs(&settings.xattrs.unwrap_or_default()).map_err(|e| error(&e))?;
        if !capabilities.is_empty() {
            let value = capabilities::encode(&capabilities).map_err(|e| error(&e))?;
            xattrs.insert(CAPABILITIES.into(), value);
        }
        let entry = Self {
            action,
            owner: settings.owner.map(|owner| owner.spec(&key)).transpose()?,
            mode: settings.mode.map(|mode| mode.rule(&key)).transpose()?,
            recursive: settings.recursive.unwrap_or(false),
            xattrs,
            path,
        };
        entry.check().map_err(|problem| error(&problem))?;
        Ok(entry)
    }

    /// Checks that its keys fit together.
    fn check(&self) -> Result<(), String> {
        let changes = self.owner.is_some() || self.mode.is_some() || !self.xattrs.is_empty();
        match &self.action {
            PathAction::Change if !changes => Err(
                "it has nothing to do; give it a type, owner, mode, capabilities or xattrs, or \
                 remove = true"
                    .to_owned(),
            ),
            PathAction::Remove if changes || self.recursive => {
                Err("remove = true excludes all other keys".to_owned())
            }
            PathAction::Create(Creation::Symlink(_)) if self.mode.is_some() => {
                Err("a symlink has no mode of its own".to_owned())
            }
            PathAction::Create(Creation::HardLink(_)) if changes => {
                Err("a hard link has the owner, mode and attributes of its target; set them there"
                    .to_owned())
            }
            PathAction::Create(creation) if self.recursive && *creation != Creation::Directory => {
                Err("recursive applies to directories".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// The action that the keys `type`, `content`, `source`, `target`, `major`, `minor` and `remove`
/// describe.
fn action(settings: &PathSettings, folder: &Path) -> Result<PathAction, String> {
    let PathSettings { kind, content, source, target, major, minor, remove, .. } = settings;
    let has_content = content.is_some() || source.is_some();
    let of_file = [("content", content.is_some()), ("source", source.is_some())];
    let of_device = [("major", major.is_some()), ("minor", minor.is_some())];
    let of_link = [("target", target.is_some())];
    let refuse =
        |keys: &[(&str, bool)], what: &str| match keys.iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => Err(format!("{key} does not apply to {what}")),
            None => Ok(()),
        };
    if *remove == Some(true) {
        refuse(&[("type", kind.is_some())], "a path that is removed")?;
        refuse(&[&of_file[..], &of_device, &of_link].concat(), "a path that is removed")?;
        return Ok(PathAction::Remove);
    }
    let kind = kind.or(has_content.then_some(PathKind::File));
    let Some(kind) = kind else {
        refuse(&[&of_device[..], &of_link].concat(), "a path without a type; add one")?;
        return Ok(PathAction::Change);
    };
    if kind != PathKind::File {
        refuse(&of_file, "anything but a file")?;
    }
    if !matches!(kind, PathKind::Symlink | PathKind::Hardlink) {
        refuse(&of_link, "anything but links")?;
    }
    if !matches!(kind, PathKind::Char | PathKind::Block) {
        refuse(&of_device, "anything but devices")?;
    }
    let target = || target.as_deref().ok_or("a link needs a target");
    let device = || match (major, minor) {
        (Some(major), Some(minor)) => Ok((*major, *minor)),
        _ => Err("a device needs major and minor"),
    };
    Ok(PathAction::Create(match kind {
        PathKind::Directory => Creation::Directory,
        PathKind::File => Creation::File(match (content, source) {
            (Some(_), Some(_)) => return Err("it has both content and source".to_owned()),
            (content, None) => {
                FileSource::Inline(content.as_deref().unwrap_or_default().as_bytes().into())
            }
            (None, Some(source)) => FileSource::Path(host_path("source", folder, source)?),
        }),
        PathKind::Symlink => Creation::Symlink(symlink_target(target()?)?),
        PathKind::Hardlink => Creation::HardLink(image_path("target", target()?)?),
        PathKind::Fifo => Creation::Fifo,
        PathKind::Char => device().map(|(major, minor)| Creation::CharDevice(major, minor))?,
        PathKind::Block => device().map(|(major, minor)| Creation::BlockDevice(major, minor))?,
    }))
}

fn symlink_target(target: &str) -> Result<Box<[u8]>, String> {
    match target.is_empty() || target.contains('\0') {
        true => Err(format!("target {} cannot be that of a symlink", text::quote(target))),
        false => Ok(target.as_bytes().into()),
    }
}

/// The attributes of the key `xattrs`.
fn xattrs(settings: &std::collections::BTreeMap<String, String>) -> Result<Xattrs, String> {
    let mut size = 0;
    for (name, value) in settings {
        let quoted = text::quote(name);
        let has_namespace = NAMESPACES
            .iter()
            .any(|start| name.strip_prefix(start).is_some_and(|rest| !rest.is_empty()));
        if !has_namespace || name.contains(['=', '\0']) || name.len() > 255 {
            return Err(format!(
                "xattrs: {quoted} is not the name of an attribute; expected one such as \
                 \"user.comment\""
            ));
        }
        if name.as_bytes() == CAPABILITIES {
            return Err(format!("xattrs: use capabilities instead of {quoted}"));
        }
        if value.is_empty() {
            return Err(format!("xattrs: {quoted} is empty, which a layer cannot express"));
        }
        size += name.len() + value.len();
    }
    if size > XATTRS_MAX {
        return Err(format!("xattrs: they have more than {} KiB", XATTRS_MAX >> 10));
    }
    let bytes = |text: &String| -> Box<[u8]> { text.as_bytes().into() };
    Ok(settings.iter().map(|(name, value)| (bytes(name), bytes(value))).collect())
}
