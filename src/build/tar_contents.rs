//! Places the members of tars, with their own owners, modes, times and links.

use std::collections::{BTreeMap, BTreeSet};

use super::BuildError;
use super::image_path::ImagePath;
use super::origin::Origin;
use super::placer::Placer;
use crate::archive::ArchiveError;
use crate::archive::entry::{Attributes, Entry, FileContent, Kind, join, name_of, parent_of};
use crate::archive::layer_tree::{AUFS, LayerTree, OPAQUE, WHITEOUT, normalize};
use crate::archive::tar::{Member, MemberKind, SpecialKind};
use crate::archive::tar_file::TarFile;
use crate::image::Timestamp;
use crate::text;

/// The state of placing one tar.
struct Members<'t> {
    tar: &'t TarFile,
    /// The tar's index in the layer.
    index: u32,
    /// The path of its root in the image.
    target: &'t [u8],
    /// Its files so far, as an engine unpacks it.
    tree: LayerTree,
    /// The targets of its hard links, as stored.
    link_targets: BTreeSet<ImagePath>,
    /// The entries of these targets that are not placed, by path in the tar.
    left_out: BTreeMap<ImagePath, Entry>,
    /// The contents of its sparse files: the index of their file, and where in it each begins.
    sparse: Option<(u32, BTreeMap<u64, u64>)>,
    /// The last folder in the tar, and its path in the image.
    folder: Option<(ImagePath, ImagePath)>,
}

impl Placer<'_> {
    /// Places the members of `tar`, whose root is at `target` in the image.
    pub(super) fn add_tar(&mut self, tar: &TarFile, target: &[u8]) -> Result<(), BuildError> {
        self.origins.push(Origin { last_wins: true, ..Origin::content(text::path(tar.path())) });
        let index = self.tars.len() as u32;
        self.tars.push(tar.clone());
        let mut members = Members {
            tar,
            index,
            target,
            tree: LayerTree::default(),
            link_targets: link_targets(tar)?,
            left_out: BTreeMap::new(),
            sparse: None,
            folder: None,
        };
        tar.members(|member, position| members.place(self, &member, position))
    }
}

/// The targets of all hard links in `tar`.
fn link_targets(tar: &TarFile) -> Result<BTreeSet<ImagePath>, BuildError> {
    let mut targets = BTreeSet::new();
    tar.members(|member, _| -> Result<(), BuildError> {
        if member.kind == MemberKind::HardLink {
            targets.extend(normalize(&member.link));
        }
        Ok(())
    })?;
    Ok(targets)
}

impl Members<'_> {
    fn place(
        &mut self,
        placer: &mut Placer<'_>,
        member: &Member,
        position: u64,
    ) -> Result<(), BuildError> {
        let added = self.tree.add(member).map_err(|error| self.invalid(error.to_string()))?;
        let Some(path) = added else { return self.place_whiteout(placer, member) };
        let kind = self.kind(placer, member, &path, position)?;
        let Some(kind) = kind else { return Ok(()) };
        let entry = Entry {
            path: path.clone(),
            mode: if matches!(kind, Kind::Symlink(_)) { 0o777 } else { member.mode },
            kind,
            attributes: Some(Box::new(attributes(member))),
            xattrs: member.xattrs.clone(),
        };
        if !placer.selects(&path) {
            if self.link_targets.contains(&path) {
                self.left_out.insert(path, entry);
            }
            return Ok(());
        }
        if matches!(entry.kind, Kind::Directory) {
            let path = placer.resolved(&under(self.target, &path))?;
            self.folder = None;
            return if path.is_empty() {
                Ok(())
            } else {
                placer.push(placer.adjusted(Entry { path, ..entry }))
            };
        }
        let folder = self.folder(placer, parent_of(&path))?;
        let path = join(&folder, name_of(&path));
        placer.place(placer.adjusted(Entry { path, ..entry }))
    }

    /// Places a member that removes a path of a lower layer.
    fn place_whiteout(
        &mut self,
        placer: &mut Placer<'_>,
        member: &Member,
    ) -> Result<(), BuildError> {
        let path = normalize(&member.path).unwrap_or_default();
        let name = name_of(&path);
        let is_internal = name.starts_with(AUFS) && name != OPAQUE;
        if !name.starts_with(WHITEOUT) || is_internal || !placer.selects(&path) {
            return Ok(());
        }
        let folder = self.folder(placer, parent_of(&path))?;
        let kind = Kind::File(FileContent::Inline(Box::default()));
        let entry = Entry::new(join(&folder, name), member.mode, kind);
        placer.push(Entry { attributes: Some(Box::new(attributes(member))), ..entry })
    }

    /// The path in the image of `folder` in the tar.
    fn folder(&mut self, placer: &Placer<'_>, folder: &[u8]) -> Result<ImagePath, BuildError> {
        match &self.folder {
            Some((last, resolved)) if **last == *folder => Ok(resolved.clone()),
            _ => {
                let resolved = placer.resolved(&under(self.target, folder))?;
                self.folder = Some((folder.into(), resolved.clone()));
                Ok(resolved)
            }
        }
    }

    /// The kind of the entry for `member`; `None` if it is not placed.
    fn kind(
        &mut self,
        placer: &mut Placer<'_>,
        member: &Member,
        path: &[u8],
        position: u64,
    ) -> Result<Option<Kind>, BuildError> {
        Ok(Some(match member.kind {
            MemberKind::Directory => Kind::Directory,
            MemberKind::File if member.sparse => {
                let (tar, offset) = self.sparse_content(placer, position)?;
                Kind::File(FileContent::Part { tar, offset, size: member.size })
            }
            MemberKind::File => {
                let (tar, offset, size) = (self.index, position, member.size);
                Kind::File(FileContent::Part { tar, offset, size })
            }
            MemberKind::Symlink => Kind::Symlink(member.link.as_slice().into()),
            MemberKind::Special(SpecialKind::Fifo) => Kind::Fifo,
            MemberKind::Special(SpecialKind::CharDevice(major, minor)) => {
                Kind::CharDevice(major, minor)
            }
            MemberKind::Special(SpecialKind::BlockDevice(major, minor)) => {
                Kind::BlockDevice(major, minor)
            }
            MemberKind::HardLink => return self.hard_link(placer, member, path),
        }))
    }

    /// The place of a sparse file's content, which is at `position` in the tar.
    fn sparse_content(
        &mut self,
        placer: &mut Placer<'_>,
        position: u64,
    ) -> Result<(u32, u64), BuildError> {
        if self.sparse.is_none() {
            let (contents, starts) = self.tar.sparse_contents()?;
            self.sparse = Some((placer.tars.len() as u32, starts));
            placer.tars.push(contents);
        }
        let place = self.sparse.as_ref();
        let place = place.and_then(|(tar, starts)| Some((*tar, *starts.get(&position)?)));
        place.ok_or_else(|| ArchiveError::Changed(self.tar.path().to_owned()).into())
    }

    /// The kind of a hard link. If its target is left out, it becomes a file; if
    /// that is itself, it is not placed again.
    fn hard_link(
        &mut self,
        placer: &Placer<'_>,
        member: &Member,
        path: &[u8],
    ) -> Result<Option<Kind>, BuildError> {
        let target = self.tree.link_target(member);
        let target = target.map_err(|error| self.invalid(error.to_string()))?;
        if !self.tree.has_file(&target) {
            let (name, link) = (text::bytes(&member.path), text::bytes(&member.link));
            let problem =
                format!("\"{name}\" is a hard link to \"{link}\", which it does not have");
            return Err(self.invalid(problem));
        };
        // GNU tar writes such links for files that it is to pack twice.
        if *target == *path {
            return Ok(None);
        }
        if let Some(entry) = self.left_out.get(&target) {
            return Ok(Some(entry.kind.clone()));
        }
        let folder = self.folder(placer, parent_of(&target))?;
        Ok(Some(Kind::HardLink(join(&folder, name_of(&target)))))
    }

    fn invalid(&self, problem: String) -> BuildError {
        ArchiveError::invalid(self.tar.path(), problem).into()
    }
}

/// The path of `path` in a tar whose root is at `target`.
fn under(target: &[u8], path: &[u8]) -> ImagePath {
    if path.is_empty() { target.into() } else { join(target, path) }
}

fn attributes(member: &Member) -> Attributes {
    let name = |name: &[u8]| {
        let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= 31);
        name.unwrap_or_default().to_owned()
    };
    let seconds = i64::try_from(member.mtime).ok();
    let mtime = seconds.and_then(|seconds| Timestamp::from_seconds(seconds).ok());
    Attributes {
        uid: member.uid,
        gid: member.gid,
        uname: name(&member.uname),
        gname: name(&member.gname),
        mtime: mtime.unwrap_or(Timestamp::DEFAULT),
    }
}
