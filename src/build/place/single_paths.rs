//! Single paths of the recipe: made, changed or removed after the contents are placed.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::changes::Change;
use super::image_path::ImagePath;
use super::origin::Origin;
use super::placer::Placer;
use super::removals::InBase;
use crate::archive::entry::{Entry, FileContent, Kind, display_path, join, name_of, parent_of};
use crate::archive::tree::Node;
use crate::build::BuildError;
use crate::build::inputs::PlannedPath;
use crate::build::inputs::walk::{Folder, Metadata};
use crate::build::recipe::files::{Creation, FILE_MODE, FileSource, PathAction};
use crate::text;

impl<'a> Placer<'a> {
    /// Places the recipe's single paths over everything that was placed before.
    pub(in crate::build) fn add_paths(
        &mut self,
        paths: &'a [PlannedPath],
    ) -> Result<(), BuildError> {
        let mut of_base = Vec::new();
        for PlannedPath { entry, owner } in paths {
            let shown = format!("path {}", display_path(&entry.path));
            self.entries.begin(Origin::of_path(shown.clone()));
            let parent = self.resolved(parent_of(&entry.path))?;
            let mut path = join(&parent, name_of(&entry.path));
            let removed = self.image.removals.removed(&path).map(|removed| display_path(removed));
            path = match (&entry.action, removed) {
                (PathAction::Create(creation), _) => self.create(path, creation, &shown)?,
                (_, Some(removed)) => {
                    let problem = format!(
                        "an earlier entry removes {removed}; remove one of them, or make the path \
                         again between them"
                    );
                    return Err(BuildError::content(shown, problem));
                }
                (PathAction::Remove, None) => {
                    self.remove(path)?;
                    continue;
                }
                (PathAction::Change, None) => self.changed(path, &shown, &mut of_base)?,
            };
            if entry.recursive {
                self.repeat_base_folder(&path, owner.is_some(), &mut of_base)?;
            }
            let path = self.entries.hard_links.follow(&path).into();
            let (recursive, mode, xattrs) = (entry.recursive, entry.mode.as_ref(), &entry.xattrs);
            let owner = owner.as_ref();
            self.changes.push(Change { path, recursive, owner, mode, xattrs });
        }
        self.check_account_files()?;
        for path in self.image.removals.whiteouts() {
            let kind = Kind::File(FileContent::Inline(Box::default()));
            self.push(Entry::new(path, 0, kind))?;
        }
        self.copy_from_base(&of_base)
    }

    /// Fails if an entry removes a file with accounts, made again or not.
    fn check_account_files(&self) -> Result<(), BuildError> {
        for path in &self.account_files {
            if let Some(removed) = self.image.removals.above(path) {
                let problem = format!(
                    "it removes {}, to which accounts are added; leave out this entry or accounts",
                    display_path(path)
                );
                return Err(BuildError::content(
                    format!("path {}", display_path(removed)),
                    problem,
                ));
            }
        }
        Ok(())
    }

    /// Removes `path` from the layer, and from the layers below it if the base has it. A directory
    /// above it that was removed and made again stays, even if nothing else is in it.
    fn remove(&mut self, path: ImagePath) -> Result<(), BuildError> {
        let in_base = match self.image.base_node(&path) {
            None => InBase::Nothing,
            Some(Node::Directory(_)) => InBase::Directory,
            Some(_) => InBase::File,
        };
        let parent = parent_of(&path);
        if self.image.removals.hides_base(parent) {
            self.directory(parent, 0o755)?;
        }
        self.image.forget_links(&path);
        self.entries.hard_links.remove_all(&path);
        self.image.removals.remove(path, self.entries.current_origin(), in_base);
        Ok(())
    }

    /// Places what an entry makes, and returns its path.
    fn create(
        &mut self,
        path: ImagePath,
        creation: &Creation,
        shown: &str,
    ) -> Result<ImagePath, BuildError> {
        let path = self.place_new(path, creation, shown)?;
        self.image.removals.make(&path, matches!(creation, Creation::Directory));
        Ok(path)
    }

    /// Places the file or directory of an entry, and returns its path.
    fn place_new(
        &mut self,
        path: ImagePath,
        creation: &Creation,
        shown: &str,
    ) -> Result<ImagePath, BuildError> {
        let (mode, kind) = match creation {
            Creation::Directory => return self.directory(&path, 0o755),
            // The recipe's accounts were added to it.
            Creation::File(_) if self.account_files.contains(&path) => return Ok(path),
            Creation::File(FileSource::Inline(bytes)) => {
                (FILE_MODE, Kind::File(FileContent::Inline(bytes.clone())))
            }
            Creation::File(FileSource::Path(source)) => self.host_file(source)?,
            Creation::Symlink(target) => {
                self.image.follow(path.clone(), target.clone());
                (0o777, Kind::Symlink(target.clone()))
            }
            Creation::HardLink(target) => {
                let parent = self.resolved(parent_of(target))?;
                let target = join(&parent, name_of(target));
                if target == path {
                    return Err(BuildError::content(shown, "it is a hard link to itself"));
                }
                (FILE_MODE, Kind::HardLink(target))
            }
            Creation::Fifo => (FILE_MODE, Kind::Fifo),
            Creation::CharDevice(major, minor) => (FILE_MODE, Kind::CharDevice(*major, *minor)),
            Creation::BlockDevice(major, minor) => (FILE_MODE, Kind::BlockDevice(*major, *minor)),
        };
        self.place(Entry::new(path.clone(), mode, kind))?;
        Ok(path)
    }

    /// The mode and content of the regular file `source` of this host.
    pub(super) fn host_file(&mut self, source: &Path) -> Result<(u32, Kind), BuildError> {
        let real = source.canonicalize();
        let real = real.map_err(crate::archive::ArchiveError::read(source))?;
        let metadata = Metadata::of(&real)?;
        let parent = real.parent().unwrap_or(Path::new(""));
        let folder = Folder::open(parent, &mut self.filesystems)?;
        let name = real.file_name().unwrap_or_default().as_bytes();
        match folder.kind(name, &metadata)? {
            Kind::File(FileContent::Host(mut file)) => {
                file.name = Some(name.into());
                Ok((metadata.mode(), Kind::File(FileContent::Host(file))))
            }
            kind => {
                let problem = format!("it is {}, but a file is needed", kind.noun());
                Err(BuildError::content(source, problem))
            }
        }
    }

    /// The path to change: in the layer, or else in the base, which the layer then repeats.
    fn changed(
        &mut self,
        path: ImagePath,
        shown: &str,
        of_base: &mut Vec<ImagePath>,
    ) -> Result<ImagePath, BuildError> {
        if self.entries.has(&path) {
            return Ok(path);
        }
        match self.image.base.get(&path) {
            Some(Node::File) => {
                of_base.push(path.clone());
                Ok(path)
            }
            Some(Node::Directory(_)) => self.directory(&path, 0o755),
            Some(Node::Symlink(target)) => {
                let problem = format!(
                    "it is a symlink to {} in the base image; name what that leads to",
                    text::bytes(target)
                );
                Err(BuildError::content(shown, problem))
            }
            None => {
                let problem = "there is no such path in the contents or the base image to change; \
                               give it a type to make it";
                Err(BuildError::content(shown, problem))
            }
        }
    }
}
