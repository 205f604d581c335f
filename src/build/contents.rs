//! Lays contents out at `/`: where each file lands, what meets what, and which directories stand around it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sorter::Sorter;
use super::{BuildError, walk};
use crate::archive::ArchiveError;
use crate::archive::entry::{Entry, Kind, join};
use crate::archive::tree::{Node, ResolveError, Tree, resolve};
use crate::closure::{Closure, StoreDir};

/// What the placing of contents goes by.
pub(super) struct Rules<'a> {
    /// What the base image shows.
    pub(super) base: &'a Tree,
    /// Places where the base may be replaced.
    pub(super) replace: &'a [Box<[u8]>],
    /// The store: its place in the image and on this machine.
    pub(super) store: Option<(&'a StoreDir, &'a Path)>,
    /// The store paths that may be read.
    pub(super) closure: &'a Closure,
    /// Whether symlinks to directories become directories.
    pub(super) follow_dirlinks: bool,
}

/// How a tree of this machine appears in the image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// As copies.
    Copied,
    /// As directories full of symlinks to where the files are in the store.
    Linked,
}

/// A path in the image.
pub(super) type Place = Box<[u8]>;

/// A symlink into the store that leads to a folder: should others want to put something in its place, it
/// gives way to links to what is in that folder.
pub(super) struct Openable {
    pub(super) folder: PathBuf,
    pub(super) origin: u32,
}

/// Contents on their way into a layer.
pub(super) struct Placer<'a> {
    pub(super) rules: Rules<'a>,
    /// What each content is called.
    pub(super) origins: Vec<String>,
    pub(super) placed: Sorter,
    /// By place and target.
    pub(super) openable: BTreeMap<Place, BTreeMap<Place, Openable>>,
    /// Symlinks that contents brought so far; what comes later goes through them.
    links: BTreeMap<Box<[u8]>, Node>,
    fresh_links: Vec<(Box<[u8]>, Node)>,
    keep_links: bool,
}

impl<'a> Placer<'a> {
    pub(super) fn new(rules: Rules<'a>) -> Self {
        Self {
            rules,
            origins: Vec::new(),
            placed: Sorter::default(),
            openable: BTreeMap::new(),
            links: BTreeMap::new(),
            fresh_links: Vec::new(),
            keep_links: false,
        }
    }

    /// Puts what is at `source` to `place` in the image: what is in it, where it is a folder, else the file
    /// itself under its own name.
    pub(super) fn add(
        &mut self,
        source: &Path,
        place: &[u8],
        manner: Placement,
    ) -> Result<(), BuildError> {
        self.origins.push(source.display().to_string());
        let metadata = std::fs::symlink_metadata(source).map_err(ArchiveError::read(source))?;
        if metadata.is_dir() {
            if !place.is_empty() {
                self.directory(place, walk::mode(&metadata))?;
            }
            self.folder(source, place, manner, &mut Vec::new())?;
        } else {
            let folder: Arc<Path> = source.parent().unwrap_or(Path::new("")).into();
            let name = source.file_name().unwrap_or_default().as_bytes();
            self.leaf(&folder, name, &metadata, place, manner)?;
        }
        Ok(())
    }

    /// From here on what is placed goes through the links that were brought before; those it brings itself are
    /// kept only where more will `follow`.
    pub(super) fn go_on(&mut self, follow: bool) {
        self.links.extend(std::mem::take(&mut self.fresh_links));
        self.keep_links = follow;
    }

    /// From here on symlinks to directories stay what they are.
    pub(super) fn follow_no_dirlinks(&mut self) {
        self.rules.follow_dirlinks = false;
    }

    /// Puts the store path whose name is `name` to its place under `store` in the image.
    pub(super) fn add_store_path(
        &mut self,
        source: &Path,
        store: &[u8],
        name: &str,
    ) -> Result<(), BuildError> {
        let metadata = std::fs::symlink_metadata(source).map_err(ArchiveError::read(source))?;
        let place = if metadata.is_dir() { join(store, name.as_bytes()) } else { store.into() };
        self.add(source, &place, Placement::Copied)
    }

    /// `trail` holds the folders on the way here, so that links among them are not followed for ever.
    pub(super) fn folder(
        &mut self,
        folder: &Path,
        place: &[u8],
        manner: Placement,
        trail: &mut Vec<PathBuf>,
    ) -> Result<(), BuildError> {
        let shared: Arc<Path> = folder.into();
        let place = self.resolved(place)?;
        trail.push(folder.to_owned());
        // Entered one after the other once this folder is closed, by name, so that what they meet is the same
        // on every machine.
        let mut folders = BTreeMap::new();
        walk::children(folder, |child| {
            let source = folder.join(OsStr::from_bytes(&child.name));
            if child.metadata.is_dir() {
                folders.insert(child.name, (source, walk::mode(&child.metadata)));
            } else if let Some(followed) = self.followed(&source, &child.metadata, manner, trail)? {
                folders.insert(child.name, followed);
            } else {
                self.leaf(&shared, &child.name, &child.metadata, &place, manner)?;
            }
            Ok(())
        })?;
        for (name, (source, mode)) in folders {
            let real = self.directory(&join(&place, &name), mode)?;
            self.folder(&source, &real, manner, trail)?;
        }
        trail.pop();
        Ok(())
    }

    /// Places a directory and says where it really lies.
    pub(super) fn directory(&mut self, path: &[u8], mode: u32) -> Result<Box<[u8]>, BuildError> {
        let path = self.resolved(path)?;
        if !path.is_empty() {
            self.push(Entry { path: path.clone(), mode, kind: Kind::Directory, attributes: None })?;
        }
        Ok(path)
    }

    fn leaf(
        &mut self,
        folder: &Arc<Path>,
        name: &[u8],
        metadata: &std::fs::Metadata,
        place: &[u8],
        manner: Placement,
    ) -> Result<(), BuildError> {
        let path = join(place, name);
        let source = folder.join(OsStr::from_bytes(name));
        let (kind, mode) = match (manner, self.in_store(&source)) {
            (Placement::Linked, Some(target)) => {
                let folder = self.folder_behind(&source).map(|(folder, _)| folder);
                let opens = folder
                    .filter(|folder| metadata.is_symlink() && self.in_store(folder).is_some());
                if let Some(folder) = opens {
                    let openable = Openable { folder, origin: self.current() };
                    self.openable.entry(path.clone()).or_default().insert(target.clone(), openable);
                }
                (Kind::Symlink(target), 0o777)
            }
            _ => (walk::kind(folder, name, metadata)?, walk::mode(metadata)),
        };
        if let (Some(Node::Directory(_)), false) =
            (self.rules.base.get(&path), self.replaced(&path))
        {
            return Err(self.conflict_with_base(path, kind.noun(), "a directory"));
        }
        // What the farm links to are files; only a link that was brought may lead to a directory.
        if let (Kind::Symlink(target), Placement::Copied, true) = (&kind, manner, self.keep_links) {
            self.fresh_links.push((path.clone(), Node::Symlink(target.clone())));
        }
        self.push(Entry { path, mode, kind, attributes: None })
    }

    fn push(&mut self, entry: Entry) -> Result<(), BuildError> {
        let origin = self.current();
        Ok(self.placed.push(entry, origin)?)
    }

    /// The content that is being placed.
    fn current(&self) -> u32 {
        self.origins.len().saturating_sub(1) as u32
    }

    /// Where the directory `path` really lies, through the links of the base and of earlier contents.
    fn resolved(&self, path: &[u8]) -> Result<Box<[u8]>, BuildError> {
        let node_at = |path: &[u8]| {
            let base = || {
                if self.replaced(path) { None } else { self.rules.base.get(path) }
            };
            self.links.get(path).or_else(base)
        };
        resolve(path, node_at).map_err(|error| match error {
            ResolveError::File(_, file) => self.conflict_with_base(file, "a directory", "a file"),
            ResolveError::Loop(_) => BuildError::unfit(self.origin(), error.to_string()),
        })
    }

    pub(super) fn replaced(&self, path: &[u8]) -> bool {
        self.rules.replace.iter().any(|replaced| {
            path.strip_prefix(replaced.as_ref())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }

    fn origin(&self) -> &str {
        self.origins.last().map_or("", String::as_str)
    }

    fn conflict_with_base(
        &self,
        path: Box<[u8]>,
        one: &'static str,
        other: &'static str,
    ) -> BuildError {
        BuildError::Conflict {
            path,
            one,
            from: self.origin().to_owned(),
            other,
            to: "the base image".to_owned(),
            mend: "list the path under replace to put it in the base's place",
        }
    }

    /// The path in the image of something in the store, where `source` is.
    fn in_store(&self, source: &Path) -> Option<Box<[u8]>> {
        let (dir, store) = self.rules.store?;
        let rest = source.strip_prefix(store).ok()?.as_os_str().as_bytes();
        Some([dir.as_str().as_bytes(), b"/", rest].concat().into())
    }

    /// The folder to copy in the place of a symlink to it, and its mode; `None` where the link stays.
    fn followed(
        &self,
        source: &Path,
        metadata: &std::fs::Metadata,
        manner: Placement,
        trail: &[PathBuf],
    ) -> Result<Option<(PathBuf, u32)>, BuildError> {
        if !self.rules.follow_dirlinks || manner == Placement::Linked || !metadata.is_symlink() {
            return Ok(None);
        }
        let Some((folder, mode)) = self.folder_behind(source) else {
            return Ok(None);
        };
        let root = trail.first().map(|root| root.canonicalize().unwrap_or_else(|_| root.clone()));
        let inside =
            root.is_some_and(|root| folder.starts_with(root)) || self.is_readable_store(&folder);
        let circular = trail
            .iter()
            .any(|passed| passed.canonicalize().is_ok_and(|passed| passed.starts_with(&folder)));
        Ok((inside && !circular).then_some((folder, mode)))
    }

    /// The folder that a symlink leads to on this machine, and its mode.
    fn folder_behind(&self, link: &Path) -> Option<(PathBuf, u32)> {
        let real = link.canonicalize().ok()?;
        let metadata = real.metadata().ok().filter(std::fs::Metadata::is_dir)?;
        Some((real, walk::mode(&metadata)))
    }

    fn is_readable_store(&self, folder: &Path) -> bool {
        let place = self.in_store(folder).and_then(|place| String::from_utf8(place.into()).ok());
        let (Some((dir, _)), Some(place)) = (self.rules.store, place) else {
            return false;
        };
        dir.split(&place).is_some_and(|(path, _)| self.rules.closure.contains(&path))
    }
}
