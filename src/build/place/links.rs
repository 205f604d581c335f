//! Symlinks of contents on the host: whether one stays, or what is placed instead of it.

use std::path::{Path, PathBuf};

use super::image_path::ImagePath;
use super::origin::Placement;
use crate::build::BuildError;
use crate::build::inputs::HostStore;
use crate::build::inputs::walk::Metadata;
use crate::closure::Closure;

/// The rules for symlinks of one content.
pub(super) struct Links<'a> {
    /// The store.
    pub(super) store: Option<HostStore<'a>>,
    /// The store paths that may be read.
    pub(super) closure: &'a Closure,
    /// Whether all symlinks become what they lead to.
    pub(super) follow_links: bool,
    /// Whether symlinks to directories within the content or the store become copies.
    pub(super) follow_dirlinks: bool,
}

impl Links<'_> {
    /// The path in the image of `source`, if that is in the store.
    pub(super) fn path_in_store(&self, source: &Path) -> Option<ImagePath> {
        let path = self.store?.in_image(source)?;
        Some(path.into_os_string().into_encoded_bytes().into())
    }

    /// Returns the file or folder that is placed instead of the file `source`.
    pub(super) fn behind(
        &self,
        source: &Path,
        metadata: &Metadata,
        placement: Placement,
        ancestors: &[PathBuf],
    ) -> Result<Behind, BuildError> {
        if placement != Placement::Copied || !metadata.is_symlink() {
            return Ok(Behind::Itself);
        }
        if self.follow_links {
            return behind_link(source, ancestors);
        }
        let followed = self.followed(source, ancestors);
        Ok(followed.map_or(Behind::Itself, |(folder, mode)| Behind::Folder(folder, mode)))
    }

    /// The folder to copy instead of the symlink `source`, and its mode; `None` if the symlink
    /// stays. Only folders within the same content or the closure are copied.
    fn followed(&self, source: &Path, ancestors: &[PathBuf]) -> Option<(PathBuf, u32)> {
        if !self.follow_dirlinks {
            return None;
        }
        let (folder, mode) = self.directory_behind(source)?;
        let canonical = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        let is_inside = ancestors.first().is_some_and(|root| folder.starts_with(canonical(root)))
            || self.is_in_closure(&folder);
        let is_circular = ancestors
            .iter()
            .any(|ancestor| ancestor.canonicalize().is_ok_and(|path| path.starts_with(&folder)));
        (is_inside && !is_circular).then_some((folder, mode))
    }

    fn is_in_closure(&self, folder: &Path) -> bool {
        let path = self.path_in_store(folder).and_then(|path| String::from_utf8(path.into()).ok());
        let (Some(store), Some(path)) = (self.store, path) else {
            return false;
        };
        store.dir.split(&path).is_some_and(|(path, _)| self.closure.contains(&path))
    }

    /// The folder that a symlink leads to on the host, and its mode.
    pub(super) fn directory_behind(&self, link: &Path) -> Option<(PathBuf, u32)> {
        let folder = match self.store {
            Some(store) => store.resolve(link).ok()?,
            None => link.canonicalize().ok()?,
        };
        let metadata = Metadata::of(&folder).ok().filter(Metadata::is_dir)?;
        Some((folder, metadata.mode()))
    }
}

/// The file or folder that is placed instead of a file.
pub(super) enum Behind {
    /// The file itself.
    Itself,
    /// The files of this folder, in a directory with this mode.
    Folder(PathBuf, u32),
    /// This file.
    File(PathBuf, Metadata),
}

/// Returns the target of the symlink `source`, which must be within the content.
fn behind_link(source: &Path, ancestors: &[PathBuf]) -> Result<Behind, BuildError> {
    let error = |problem: &str| Err(BuildError::content(source, problem));
    let Ok(target) = source.canonicalize() else {
        return error("a symlink that leads nowhere; follow_links needs a target for every link");
    };
    let root = ancestors.first().and_then(|root| root.canonicalize().ok());
    if !root.is_some_and(|root| target.starts_with(root)) {
        return error("a symlink that leads out of the content, where follow_links does not go");
    }
    let metadata = Metadata::of(&target)?;
    if !metadata.is_dir() {
        return Ok(Behind::File(target, metadata));
    }
    let is_circular = ancestors
        .iter()
        .any(|ancestor| ancestor.canonicalize().is_ok_and(|path| path.starts_with(&target)));
    match is_circular {
        true => error("a symlink to a folder that it is in, which follow_links cannot copy"),
        false => Ok(Behind::Folder(target, metadata.mode())),
    }
}
