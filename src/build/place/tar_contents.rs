//! Places the members of tars, with their own owners, modes, times and links.

use std::collections::{BTreeMap, BTreeSet};

use super::image_path::{ImagePath, remove_below};
use super::origin::Origin;
use super::placer::Placer;
use super::tar_members::{LinkTargets, link_targets};
use crate::archive::ArchiveError;
use crate::archive::entry::{Attributes, Entry, FileContent, Kind, join, name_of, parent_of};
use crate::archive::layer_tree::{AUFS, LayerTree, OPAQUE, WHITEOUT, normalize};
use crate::archive::tar::{Member, MemberKind};
use crate::archive::tar_file::TarFile;
use crate::archive::tree::Node;
use crate::build::BuildError;
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
    link_targets: LinkTargets,
    /// The entries of these targets of which a hard link becomes a copy, by path in the tar.
    copied: BTreeMap<ImagePath, Entry>,
    /// Directories that the patterns do not select, by path in the tar.
    unselected: BTreeMap<ImagePath, Entry>,
    /// The directories above everything that is selected.
    parents: BTreeSet<ImagePath>,
    /// Its symlinks, by path in the image.
    links: BTreeMap<ImagePath, Node>,
    /// The contents of its sparse files: the index of their file, and where in it each begins.
    sparse: Option<(u32, BTreeMap<u64, u64>)>,
    /// The last folder in the tar, and its path in the image.
    folder: Option<(ImagePath, ImagePath)>,
}

impl Placer<'_> {
    /// Places the members of `tar`, whose root is at `target` in the image.
    pub(super) fn add_tar(&mut self, tar: &TarFile, target: &[u8]) -> Result<(), BuildError> {
        self.entries.begin(Origin { last_wins: true, ..Origin::content(text::path(tar.path())) });
        let index = self.tars.len() as u32;
        self.tars.push(tar.clone());
        let mut members = Members {
            tar,
            index,
            target,
            tree: LayerTree::default(),
            link_targets: link_targets(tar)?,
            copied: BTreeMap::new(),
            unselected: BTreeMap::new(),
            parents: BTreeSet::new(),
            links: BTreeMap::new(),
            sparse: None,
            folder: None,
        };
        tar.members(|member, position| members.place(self, &member, position))?;
        for (path, entry) in std::mem::take(&mut members.unselected) {
            if members.parents.contains(&path) {
                members.place_directory(self, entry)?;
            }
        }
        if self.image.collects_links() {
            self.image.add_links(members.links);
        }
        Ok(())
    }
}

impl Members<'_> {
    fn place(
        &mut self,
        placer: &mut Placer<'_>,
        member: &Member,
        position: u64,
    ) -> Result<(), BuildError> {
        let added = self.tree.add(member).map_err(|error| self.invalid(error.to_string()))?;
        let Some(path) = added else { return self.place_other(placer, member, position) };
        let entry = match member.kind {
            MemberKind::HardLink => self.hard_link(placer, member, &path)?,
            _ => Some(self.entry(placer, member, &path, position)?),
        };
        let Some(entry) = entry else { return Ok(()) };
        let is_selected = placer.current.selects(&path);
        self.keep_for_links(&path, &entry, is_selected);
        if !is_selected {
            if matches!(entry.kind, Kind::Directory) {
                self.unselected.insert(path, entry);
            }
            return Ok(());
        }
        if u64::try_from(member.mtime) != Ok(Timestamp::of_file(member.mtime).seconds()) {
            placer.rules.notices.lost_time(self.tar.path());
        }
        self.add_parents(placer, &path);
        if matches!(entry.kind, Kind::Directory) {
            return self.place_directory(placer, entry);
        }
        let folder = self.folder(placer, parent_of(&path))?;
        let path = join(&folder, name_of(&path));
        match &entry.kind {
            Kind::Symlink(target) if placer.image.collects_links() => {
                self.links.insert(path.clone(), Node::Symlink(target.clone()));
            }
            _ => drop(self.links.remove(&path)),
        }
        remove_below(&mut self.links, &path);
        placer.place(placer.current.adjusted(Entry { path, ..entry }))
    }

    /// Places a directory, whose path is that in the tar.
    fn place_directory(&mut self, placer: &mut Placer<'_>, entry: Entry) -> Result<(), BuildError> {
        let path = placer.resolved(&under(self.target, &entry.path))?;
        self.links.remove(&path);
        self.folder = None;
        match path.is_empty() {
            true => Ok(()),
            false => placer.push(placer.current.adjusted(Entry { path, ..entry })),
        }
    }

    /// Keeps the entry at `path` if hard links to it become copies: if it is not placed, is a
    /// symlink, or is replaced later.
    fn keep_for_links(&mut self, path: &[u8], entry: &Entry, is_selected: bool) {
        let is_directory = matches!(entry.kind, Kind::Directory);
        let Some(following) = self.link_targets.pass(path, is_directory) else { return };
        if !is_selected || following > 0 || matches!(entry.kind, Kind::Symlink(_)) {
            self.copied.insert(path.into(), entry.clone());
        } else {
            self.copied.remove(path);
        }
    }

    /// Remembers the directories above `path`, if the patterns may leave them out.
    fn add_parents(&mut self, placer: &Placer<'_>, path: &[u8]) {
        let mut parent = parent_of(path);
        while placer.current.globs.is_some()
            && !parent.is_empty()
            && self.parents.insert(parent.into())
        {
            parent = parent_of(parent);
        }
    }

    /// Places a member that is not a path in the tar: its root, or a whiteout.
    fn place_other(
        &mut self,
        placer: &mut Placer<'_>,
        member: &Member,
        position: u64,
    ) -> Result<(), BuildError> {
        let is_root = normalize(&member.path).is_some_and(|path| path.is_empty());
        if is_root && placer.current.has_root && member.kind == MemberKind::Directory {
            let entry = self.entry(placer, member, b"", position)?;
            return self.place_directory(placer, entry);
        }
        self.place_whiteout(placer, member)
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
        if !name.starts_with(WHITEOUT) || is_internal || !placer.current.selects(&path) {
            return Ok(());
        }
        self.add_parents(placer, &path);
        let folder = self.folder(placer, parent_of(&path))?;
        let kind = Kind::File(FileContent::Inline(Box::default()));
        let entry = Entry::new(join(&folder, name), member.mode, kind);
        let attributes = Some(Box::new(Attributes::of_member(member)));
        placer.push(Entry { attributes, ..entry })
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

    /// The entry for `member`, which is anything but a hard link, at its `path` in the tar.
    fn entry(
        &mut self,
        placer: &mut Placer<'_>,
        member: &Member,
        path: &[u8],
        position: u64,
    ) -> Result<Entry, BuildError> {
        let (tar, offset) = match member.sparse {
            true => self.sparse_content(placer, position)?,
            false => (self.index, position),
        };
        let content = FileContent::Part { tar, offset, size: member.size };
        Ok(Entry::of_member(path, member, Kind::of_member(member, content, Box::default())))
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

    /// The entry of a hard link at `path` in the tar; `None` if it leads to itself. It is a copy of
    /// its target if they cannot be the same file in the image.
    fn hard_link(
        &mut self,
        placer: &Placer<'_>,
        member: &Member,
        path: &[u8],
    ) -> Result<Option<Entry>, BuildError> {
        let target = self.tree.link_target(member);
        let target = target.map_err(|error| self.invalid(error.to_string()))?;
        if !matches!(self.tree.get(&target), Some(Node::File | Node::Symlink(_))) {
            let (name, link) = (text::bytes(&member.path), text::bytes(&member.link));
            let problem =
                format!("\"{name}\" is a hard link to \"{link}\", which it does not have");
            return Err(self.invalid(problem));
        };
        // GNU tar writes such links for files that it is to pack twice.
        if *target == *path {
            return Ok(None);
        }
        if let Some(copied) = self.copied.get(&target) {
            return Ok(Some(Entry { path: path.into(), ..copied.clone() }));
        }
        let folder = self.folder(placer, parent_of(&target))?;
        let kind = Kind::HardLink(join(&folder, name_of(&target)));
        Ok(Some(Entry::of_member(path, member, kind)))
    }

    fn invalid(&self, problem: String) -> BuildError {
        ArchiveError::invalid(self.tar.path(), problem).into()
    }
}

/// The path of `path` in a tar whose root is at `target`.
fn under(target: &[u8], path: &[u8]) -> ImagePath {
    if path.is_empty() { target.into() } else { join(target, path) }
}
