//! Copies of the base's files, which a layer needs to change their owner, mode or attributes.

use std::collections::{BTreeMap, BTreeSet};

use super::image_path::ImagePath;
use super::placer::Placer;
use crate::archive::Image;
use crate::archive::entry::{Attributes, Entry, FileContent, Kind, display_path, join};
use crate::archive::files::{self, FileInfo};
use crate::archive::tar::{MemberKind, SpecialKind};
use crate::archive::tree::Node;
use crate::build::BuildError;
use crate::image::Timestamp;

/// The most bytes of the base's files that a recursive change copies.
const COPIED_MAX: u64 = 256 << 20;

impl Placer<'_> {
    /// Repeats everything that only the base has below the folder `path`: adds its files to
    /// `of_base`, and places its folders, and its symlinks if they get an owner.
    pub(super) fn repeat_base_folder(
        &mut self,
        path: &[u8],
        has_owner: bool,
        of_base: &mut Vec<ImagePath>,
    ) -> Result<(), BuildError> {
        let base = self.image.base;
        let mut folders: Vec<ImagePath> = vec![path.into()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            if !matches!(self.image.base_node(&folder), Some(Node::Directory(_))) {
                continue;
            }
            for (name, node) in base.children(&folder) {
                let path = join(&folder, &name);
                if self.image.removals.hides_base(&path) || self.image.is_replaced(&path) {
                    continue;
                }
                let is_placed = self.entries.has(&path);
                match node {
                    Node::Directory(_) => {
                        if !is_placed {
                            self.directory(&path, 0o755)?;
                        }
                        folders.push(path);
                    }
                    Node::File if !is_placed => files.push(path),
                    Node::Symlink(target) if !is_placed && has_owner => {
                        self.push(Entry::new(path, 0o777, Kind::Symlink(target.clone())))?;
                    }
                    Node::File | Node::Symlink(_) => {}
                }
            }
        }
        if let Some(image) = self.rules.base_image.filter(|_| !files.is_empty()) {
            check_size(image, &files, path)?;
        }
        of_base.extend(files);
        Ok(())
    }

    /// Places copies of files that only the base has, so that they can be changed.
    pub(super) fn copy_from_base(&mut self, paths: &[ImagePath]) -> Result<(), BuildError> {
        let Some(image) = self.rules.base_image.filter(|_| !paths.is_empty()) else {
            return Ok(());
        };
        let texts: Vec<&str> =
            paths.iter().filter_map(|path| std::str::from_utf8(path).ok()).collect();
        let mut found: BTreeMap<String, FileInfo> = files::find(image, self.image.base, &texts)?;
        for path in texts {
            // An entry that is repeated was placed already.
            let Some(info) = found.remove(path) else { continue };
            let shown = format!("path {}", display_path(path.as_bytes()));
            let kind = base_kind(&info)
                .ok_or_else(|| BuildError::content(shown, without_content(&info)))?;
            let attributes = Attributes {
                uid: info.uid,
                gid: info.gid,
                uname: String::new(),
                gname: String::new(),
                mtime: Timestamp::of_file(info.mtime),
            };
            let entry = Entry {
                attributes: Some(Box::new(attributes)),
                xattrs: info.xattrs,
                ..Entry::new(path.as_bytes(), info.mode, kind)
            };
            self.push(entry)?;
        }
        Ok(())
    }
}

/// Checks that the base's `files` below `path` are not too many bytes to copy.
fn check_size(image: &Image, files: &[ImagePath], path: &[u8]) -> Result<(), BuildError> {
    let files: BTreeSet<&[u8]> = files.iter().map(AsRef::as_ref).collect();
    let mut sizes: BTreeMap<Box<[u8]>, u64> = BTreeMap::new();
    // The entry in the highest layer counts.
    files::for_each_entry(image, |entry| {
        if files.contains(entry.path) {
            sizes.insert(entry.path.into(), entry.member.size);
        }
    })?;
    let total: u64 = sizes.values().sum();
    if total <= COPIED_MAX {
        return Ok(());
    }
    let problem = format!(
        "it is recursive, and the base image has {} MiB of files below, which a layer with the \
         change must repeat; change less, or use a step (at most {} MiB are repeated)",
        total >> 20,
        COPIED_MAX >> 20
    );
    Err(BuildError::content(format!("path {}", display_path(path)), problem))
}

/// Why a file of the base cannot be copied.
fn without_content(info: &FileInfo) -> String {
    match info.kind {
        MemberKind::HardLink => {
            let target = display_path(&info.link);
            format!("it is a hard link to {target}, which the base image does not have")
        }
        _ => {
            let most = files::CONTENT_MAX >> 20;
            format!("it is a file of the base image of more than {most} MiB, which is not copied")
        }
    }
}

fn base_kind(info: &FileInfo) -> Option<Kind> {
    Some(match info.kind {
        MemberKind::Special(SpecialKind::Fifo) => Kind::Fifo,
        MemberKind::Special(SpecialKind::CharDevice(major, minor)) => {
            Kind::CharDevice(major, minor)
        }
        MemberKind::Special(SpecialKind::BlockDevice(major, minor)) => {
            Kind::BlockDevice(major, minor)
        }
        _ => Kind::File(FileContent::Inline(info.content.as_deref()?.into())),
    })
}
