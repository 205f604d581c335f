//! Places folders of the host: every file in them, at its path in the image.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::expandable::ExpandableLink;
use super::image_path::ImagePath;
use super::links::Behind;
use super::origin::Placement;
use super::placer::{Placer, Rules};
use crate::archive::entry::{Entry, FileContent, Kind, join, name_of};
use crate::archive::tree::Node;
use crate::build::BuildError;
use crate::build::inputs::walk::{self, Folder, Metadata};
use crate::files::output::is_unfinished;

/// A folder on the host that is placed, and the way to it.
pub(super) struct Place<'p> {
    /// The folder.
    pub(super) source: &'p Path,
    /// Its path within the content.
    pub(super) relative: Box<[u8]>,
    /// Its path in the image.
    pub(super) path: ImagePath,
    pub(super) placement: Placement,
}

/// The mode of a directory with links into the store: that of the directory in the store has no
/// permission to write, which is of use there only.
const LINKED_DIRECTORY_MODE: u32 = 0o755;

impl Placer<'_> {
    /// Places the files of a folder. `ancestors` are the folders on the way to it, so that symlinks
    /// between them are not followed forever.
    pub(super) fn folder_files(
        &mut self,
        place: &Place<'_>,
        ancestors: &mut Vec<PathBuf>,
    ) -> Result<(), BuildError> {
        let Place { source: folder, placement, .. } = *place;
        let opened = Folder::open(folder, &mut self.filesystems)?;
        let path = self.resolved(&place.path)?;
        ancestors.push(folder.to_owned());
        // Subfolders follow when this folder is closed, sorted by name, so that conflicts are the
        // same on every host.
        let mut subfolders = BTreeMap::new();
        opened.children(|child| {
            let source = opened.child_path(&child.name);
            if self.skips(&place.relative, &child.name, child.metadata.is_dir()) {
                return Ok(());
            }
            match self.links().behind(&source, &child.metadata, placement, ancestors)? {
                Behind::Itself if child.metadata.is_dir() => {
                    subfolders.insert(child.name, (source, child.metadata.mode()));
                }
                Behind::Itself => {
                    if self.leaves_out(folder, &child.name, &child.metadata)? {
                        return Ok(());
                    }
                    let path = join(&path, &child.name);
                    self.leaf(&opened, &child.name, &child.metadata, path, placement)?;
                }
                Behind::Folder(folder, mode) => {
                    subfolders.insert(child.name, (folder, mode));
                }
                Behind::File(file, metadata) => {
                    let parent = file.parent().unwrap_or(Path::new(""));
                    let name = file.file_name().unwrap_or_default().as_bytes();
                    if self.leaves_out(parent, name, &metadata)? {
                        return Ok(());
                    }
                    let folder = Folder::open(parent, &mut self.filesystems)?;
                    let path = join(&path, &child.name);
                    self.leaf(&folder, name, &metadata, path, placement)?;
                }
            }
            Ok(())
        })?;
        drop(opened);
        self.subfolders(place, &path, subfolders, ancestors)?;
        ancestors.pop();
        Ok(())
    }

    /// Whether globs leave out the child `name` of the folder at `parent` in the contents.
    fn skips(&mut self, parent: &[u8], name: &[u8], is_dir: bool) -> bool {
        if self.current.globs.is_none() {
            return false;
        }
        let relative = join(parent, name);
        match is_dir {
            true => self.current.excludes(&relative),
            false => !self.current.selects(&relative),
        }
    }

    /// Places the folders in that of `place`, which is at `path` in the image: by name, the folder
    /// on this host and its mode.
    fn subfolders(
        &mut self,
        place: &Place<'_>,
        path: &[u8],
        found: BTreeMap<Box<[u8]>, (PathBuf, u32)>,
        ancestors: &mut Vec<PathBuf>,
    ) -> Result<(), BuildError> {
        let placement = place.placement;
        for (name, (source, mode)) in found {
            let is_linked = placement == Placement::Linked;
            let mode = if is_linked { LINKED_DIRECTORY_MODE } else { mode };
            let relative = match self.current.globs {
                Some(_) => join(&place.relative, &name),
                None => Box::default(),
            };
            let selected = self.current.globs.is_none() || self.current.selects(&relative);
            let pending = self.current.pending.len();
            let entry = Entry::new(join(path, &name), mode, Kind::Directory);
            let path = self.folder_entry(entry, &source, selected)?;
            self.folder_files(&Place { source: &source, relative, path, placement }, ancestors)?;
            self.current.pending.truncate(pending);
        }
        Ok(())
    }

    /// Whether the file `name` in `folder` is an output, which is left out with a notice.
    fn leaves_out(
        &self,
        folder: &Path,
        name: &[u8],
        metadata: &Metadata,
    ) -> Result<bool, BuildError> {
        let Rules { outputs, notices, .. } = &self.rules;
        let is_known = outputs.contain(folder, name, metadata.id())?;
        let is_unfinished = metadata.is_file() && is_unfinished(OsStr::from_bytes(name));
        // The unfinished output of this build has its final name in messages, or none.
        if is_known != is_unfinished {
            notices.left_out(&folder.join(OsStr::from_bytes(name)));
        }
        Ok(is_known || is_unfinished)
    }

    /// Places the directory `entry` for the folder `source`, if it is `selected`; otherwise when
    /// something in it is. Returns its path after following symlinks.
    pub(super) fn folder_entry(
        &mut self,
        entry: Entry,
        source: &Path,
        selected: bool,
    ) -> Result<ImagePath, BuildError> {
        let path = self.resolved(&entry.path)?;
        let mut entry = self.current.adjusted(Entry { path: path.clone(), ..entry });
        if self.current.keep_xattrs {
            entry.xattrs = walk::xattrs(source)?;
        }
        if selected {
            self.push(entry)?;
        } else {
            self.current.pending.push(entry);
        }
        Ok(path)
    }

    /// Places the file `name` of `folder`, which is anything but a directory, at `path`.
    pub(super) fn leaf(
        &mut self,
        folder: &Folder,
        name: &[u8],
        metadata: &Metadata,
        path: ImagePath,
        placement: Placement,
    ) -> Result<(), BuildError> {
        let source = folder.child_path(name);
        let (kind, mode) = match (placement, self.links().path_in_store(&source)) {
            (Placement::Linked, Some(target)) => {
                if metadata.is_symlink() {
                    self.note_expandable(&path, &target, &source);
                }
                (Kind::Symlink(target), 0o777)
            }
            _ => (folder.kind(name, metadata)?, metadata.mode()),
        };
        // Links into the store lead to files; only a copied symlink may lead to a directory.
        if let (Kind::Symlink(target), Placement::Copied, true) =
            (&kind, placement, self.image.collects_links())
        {
            let link = Node::Symlink(target.clone());
            self.image.add_links([(path.clone(), link)]);
        }
        let mut entry = Entry::new(path, mode, kind);
        if let Kind::File(FileContent::Host(file)) = &mut entry.kind {
            if name_of(&entry.path) != name {
                file.name = Some(name.into());
            }
            // Capabilities of files that nobody can execute have no effect.
            if self.current.keep_xattrs {
                entry.xattrs = walk::xattrs(&source)?;
            } else if self.current.note_capabilities
                && mode & 0o111 != 0
                && walk::has_capabilities(&source)
            {
                self.rules.notices.dropped_capabilities(&entry.path);
            }
        }
        self.place(self.current.adjusted(entry))
    }

    /// Records the link from `path` to `target` as expandable if `source` leads to a folder in the
    /// store.
    fn note_expandable(&mut self, path: &[u8], target: &[u8], source: &Path) {
        let folder = self.links().directory_behind(source).map(|(folder, _)| folder);
        if let Some(folder) = folder.filter(|folder| self.links().path_in_store(folder).is_some()) {
            let link = ExpandableLink { folder, origin: self.entries.current_origin() };
            self.expandable.add(path, target, link);
        }
    }
}
