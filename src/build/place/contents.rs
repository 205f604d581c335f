//! Places contents in a layer: folders, files, tars and store paths.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::changes;
use super::current::Current;
use super::folder_contents::Place;
use super::origin::{Origin, Placement};
use super::placer::Placer;
use crate::archive::entry::{Entry, Kind, join, name_of, parent_of};
use crate::build::BuildError;
use crate::build::inputs::Content;
use crate::build::inputs::walk::{Folder, Metadata};
use crate::build::recipe::files::{ContentSource, XattrRule};

impl<'a> Placer<'a> {
    /// Places `content`: a folder's files at its target, another file as its target, or in it under
    /// its own name.
    pub(in crate::build) fn add(
        &mut self,
        content: &'a Content,
        placement: Placement,
    ) -> Result<(), BuildError> {
        let entry = &content.entry;
        let owner = content.owner.as_ref();
        let in_store = content.store_path.is_some();
        self.current = Current {
            globs: Some(&entry.globs).filter(|globs| !globs.is_empty()),
            attributes: owner.map(|owner| changes::owned(owner, &self.rules.attributes)),
            mode: entry.mode.as_ref(),
            follow_links: entry.follow_links,
            follow_dirlinks: self.rules.follow_dirlinks && in_store && !entry.follow_links,
            keep_xattrs: entry.xattrs == XattrRule::Keep,
            note_capabilities: entry.xattrs == XattrRule::Drop && !in_store,
            has_root: matches!(entry.source, ContentSource::Image(_)),
            ..Current::default()
        };
        match &content.tar {
            Some(tar) => self.add_tar(tar, &entry.target)?,
            None => {
                self.add_source(&content.source, &entry.target, entry.target_is_folder, placement)?
            }
        }
        for glob in entry.globs.unused(&self.current.used) {
            self.rules.notices.unused_glob(glob, &content.source);
        }
        self.current = Current::default();
        Ok(())
    }

    /// Places `source`: a folder's files at `path`, another file in the folder `path` or as `path`.
    fn add_source(
        &mut self,
        source: &Path,
        path: &[u8],
        path_is_folder: bool,
        placement: Placement,
    ) -> Result<(), BuildError> {
        self.entries.begin(Origin::content(source.display().to_string()));
        let metadata = Metadata::of(source)?;
        if metadata.is_dir() {
            if !path.is_empty() {
                let entry = Entry::new(path, metadata.mode(), Kind::Directory);
                self.folder_entry(entry, source, true)?;
            }
            let place = Place { source, relative: Box::default(), path: path.into(), placement };
            self.folder_files(&place, &mut Vec::new())?;
            self.current.pending.clear();
            return Ok(());
        }
        let parent = source.parent().unwrap_or(Path::new(""));
        let folder = Folder::open(parent, &mut self.filesystems)?;
        let name = source.file_name().unwrap_or_default().as_bytes();
        if self.rules.outputs.contain(parent, name, metadata.id())? {
            let problem = "this command writes it, and it is one of the contents; choose another \
                           output";
            return Err(BuildError::content(source, problem));
        }
        if !self.current.selects(name) {
            return Ok(());
        }
        let (parent, own_name) = match path_is_folder {
            true => (path, name),
            false => (parent_of(path), name_of(path)),
        };
        let path = join(&self.resolved(parent)?, own_name);
        self.leaf(&folder, name, &metadata, path, placement)
    }

    /// Places the store path `name` in the image's store at `store`.
    pub(in crate::build) fn add_store_path(
        &mut self,
        source: &Path,
        store: &[u8],
        name: &str,
    ) -> Result<(), BuildError> {
        let path = join(store, name.as_bytes());
        self.add_source(source, &path, false, Placement::Copied)
    }

    /// Places the files of `folder` at `path`, as links into the store.
    pub(in crate::build) fn linked_folder(
        &mut self,
        folder: &Path,
        path: &[u8],
    ) -> Result<(), BuildError> {
        let path = path.into();
        let place =
            Place { source: folder, relative: Box::default(), path, placement: Placement::Linked };
        self.folder_files(&place, &mut Vec::new())
    }
}
