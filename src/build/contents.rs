//! Lays contents out at `/`: where each file lands, what meets what, and which directories stand around it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BuildError, walk};
use crate::archive::ArchiveError;
use crate::archive::entry::{Entry, Kind, join, parent_of, path_order};
use crate::archive::tree::{Meta, Node, ResolveError, Tree, resolve};
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
pub(super) enum Manner {
    /// As copies.
    Copied,
    /// As directories full of symlinks to where the files are in the store.
    Linked,
}

struct Placed {
    entry: Entry,
    /// The content it came from, as an index.
    origin: usize,
    /// The folder that a symlink into the store leads to, where it leads to one: should others want to put
    /// something there, the link gives way to links to what is in that folder.
    opens: Option<PathBuf>,
}

/// Contents on their way into a layer.
pub(super) struct Placer<'a> {
    rules: Rules<'a>,
    origins: Vec<String>,
    placed: Vec<Placed>,
    /// Symlinks that contents brought so far; what comes later goes through them.
    links: BTreeMap<Box<[u8]>, Node>,
    fresh_links: Vec<(Box<[u8]>, Node)>,
}

impl<'a> Placer<'a> {
    pub(super) fn new(rules: Rules<'a>) -> Self {
        Self {
            rules,
            origins: Vec::new(),
            placed: Vec::new(),
            links: BTreeMap::new(),
            fresh_links: Vec::new(),
        }
    }

    /// Puts what is at `source` to `place` in the image: what is in it, where it is a folder, else the file
    /// itself under its own name.
    pub(super) fn add(&mut self, source: &Path, place: &[u8], manner: Manner) -> Result<(), BuildError> {
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
        let fresh = std::mem::take(&mut self.fresh_links);
        self.links.extend(fresh);
        Ok(())
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
        self.add(source, &place, Manner::Copied)
    }

    /// `trail` holds the folders on the way here, so that links among them are not followed for ever.
    fn folder(
        &mut self,
        folder: &Path,
        place: &[u8],
        manner: Manner,
        trail: &mut Vec<PathBuf>,
    ) -> Result<(), BuildError> {
        let shared: Arc<Path> = folder.into();
        let place = self.resolved(place)?;
        trail.push(folder.to_owned());
        for child in walk::children(folder)? {
            let path = join(&place, &child.name);
            let source = || folder.join(OsStr::from_bytes(&child.name));
            if child.metadata.is_dir() {
                let real = self.directory(&path, walk::mode(&child.metadata))?;
                self.folder(&source(), &real, manner, trail)?;
                continue;
            }
            let linked = self.followed(&source(), &child.metadata, manner, trail)?;
            match linked {
                Some((target, mode)) => {
                    let real = self.directory(&path, mode)?;
                    self.folder(&target, &real, manner, trail)?;
                }
                None => self.leaf(&shared, &child.name, &child.metadata, &place, manner)?,
            }
        }
        trail.pop();
        Ok(())
    }

    /// Places a directory and says where it really lies.
    fn directory(&mut self, path: &[u8], mode: u32) -> Result<Box<[u8]>, BuildError> {
        let path = self.resolved(path)?;
        if !path.is_empty() {
            self.push(Entry { path: path.clone(), mode, kind: Kind::Directory, attributes: None }, None);
        }
        Ok(path)
    }

    fn leaf(
        &mut self,
        folder: &Arc<Path>,
        name: &[u8],
        metadata: &std::fs::Metadata,
        place: &[u8],
        manner: Manner,
    ) -> Result<(), BuildError> {
        let path = join(place, name);
        let source = folder.join(OsStr::from_bytes(name));
        let (kind, mode, opens) = match (manner, self.in_store(&source)) {
            (Manner::Linked, Some(target)) => {
                let folder = self.folder_behind(&source).map(|(folder, _)| folder);
                let opens = folder.filter(|folder| metadata.is_symlink() && self.in_store(folder).is_some());
                (Kind::Symlink(target), 0o777, opens)
            }
            _ => (walk::kind(folder, name, metadata)?, walk::mode(metadata), None),
        };
        if let (Some(Node::Directory(_)), false) = (self.rules.base.get(&path), self.replaced(&path)) {
            return Err(self.clash_with_base(path, kind.noun(), "a directory"));
        }
        if let (Kind::Symlink(target), None) = (&kind, &opens) {
            self.fresh_links.push((path.clone(), Node::Symlink(target.clone())));
        }
        self.push(Entry { path, mode, kind, attributes: None }, opens);
        Ok(())
    }

    fn push(&mut self, entry: Entry, opens: Option<PathBuf>) {
        let origin = self.origins.len() - 1;
        self.placed.push(Placed { entry, origin, opens });
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
            ResolveError::File(_, file) => self.clash_with_base(file, "a directory", "a file"),
            ResolveError::Loop(_) => BuildError::unfit(self.origin(), error.to_string()),
        })
    }

    fn replaced(&self, path: &[u8]) -> bool {
        self.rules.replace.iter().any(|replaced| {
            path.strip_prefix(replaced.as_ref()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }

    fn origin(&self) -> &str {
        self.origins.last().map_or("", String::as_str)
    }

    fn clash_with_base(&self, path: Box<[u8]>, one: &'static str, other: &'static str) -> BuildError {
        BuildError::Clash {
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
        manner: Manner,
        trail: &[PathBuf],
    ) -> Result<Option<(PathBuf, u32)>, BuildError> {
        if !self.rules.follow_dirlinks || manner == Manner::Linked || !metadata.is_symlink() {
            return Ok(None);
        }
        let Some((folder, mode)) = self.folder_behind(source) else {
            return Ok(None);
        };
        let root = trail.first().map(|root| root.canonicalize().unwrap_or_else(|_| root.clone()));
        let inside = root.is_some_and(|root| folder.starts_with(root)) || self.is_readable_store(&folder);
        let circular =
            trail.iter().any(|passed| passed.canonicalize().is_ok_and(|passed| passed.starts_with(&folder)));
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

    /// The entries of the layer, in order: what meets is merged, and every directory that something lies in
    /// has an entry.
    pub(super) fn finish(mut self) -> Result<Vec<Entry>, BuildError> {
        while self.open_links()? {}
        self.placed.sort_by(|a, b| path_order(&a.entry.path, &b.entry.path));
        let mut merged: Vec<Placed> = Vec::with_capacity(self.placed.len());
        for placed in std::mem::take(&mut self.placed) {
            match merged.last() {
                Some(last) if last.entry.path == placed.entry.path => self.meet(last, &placed)?,
                _ => merged.push(placed),
            }
        }
        Ok(self.with_parents(merged))
    }

    /// Where a link into the store and something else want the same place, and the link leads to a folder:
    /// opens that folder instead. Says whether there was such a place.
    fn open_links(&mut self) -> Result<bool, BuildError> {
        let mut wanted: BTreeMap<&[u8], BTreeSet<Option<&[u8]>>> = BTreeMap::new();
        let opening: BTreeSet<&[u8]> = self
            .placed
            .iter()
            .filter(|placed| placed.opens.is_some())
            .map(|placed| &*placed.entry.path)
            .collect();
        for placed in self.placed.iter().filter(|placed| opening.contains(&*placed.entry.path)) {
            let target = if let Kind::Symlink(target) = &placed.entry.kind { Some(&**target) } else { None };
            wanted.entry(&placed.entry.path).or_default().insert(target);
        }
        let contested: BTreeSet<Box<[u8]>> = wanted
            .into_iter()
            .filter(|(_, targets)| targets.len() > 1)
            .map(|(path, _)| path.into())
            .collect();
        let (links, rest): (Vec<Placed>, Vec<Placed>) = std::mem::take(&mut self.placed)
            .into_iter()
            .partition(|placed| placed.opens.is_some() && contested.contains(&placed.entry.path));
        self.placed = rest;
        let any = !links.is_empty();
        for link in links {
            let Some(folder) = link.opens else { continue };
            self.origins.push(self.origins[link.origin].clone());
            self.directory(&link.entry.path, 0o755)?;
            self.folder(&folder, &link.entry.path, Manner::Linked, &mut Vec::new())?;
        }
        Ok(any)
    }

    /// Two of one path: fine for two directories, of which the first counts, and for two equal links or
    /// the same file named twice.
    fn meet(&self, one: &Placed, other: &Placed) -> Result<(), BuildError> {
        let same = match (&one.entry.kind, &other.entry.kind) {
            (Kind::Directory, Kind::Directory) => true,
            (Kind::Symlink(one), Kind::Symlink(other)) => one == other,
            (Kind::File(_), Kind::File(_)) => one.entry.source() == other.entry.source(),
            _ => false,
        };
        if same {
            return Ok(());
        }
        Err(BuildError::Clash {
            path: one.entry.path.clone(),
            one: one.entry.kind.noun(),
            from: self.origins[one.origin].clone(),
            other: other.entry.kind.noun(),
            to: self.origins[other.origin].clone(),
            mend: "remove it from one of them",
        })
    }

    /// A layer must repeat the directories around its files, or engines make them up. One that the base
    /// has keeps the base's owner, mode and time; one that nothing describes is root's, with mode 0755.
    fn with_parents(&self, placed: Vec<Placed>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(placed.len());
        let mut around: Vec<Box<[u8]>> = Vec::new();
        for Placed { mut entry, .. } in placed {
            let parent: Box<[u8]> = parent_of(&entry.path).into();
            around.retain(|known| is_within(&parent, known));
            let known = around.last().cloned().unwrap_or_default();
            let missing = parent.len() - known.len();
            if missing > 0 {
                let from = known.len() + usize::from(!known.is_empty());
                let cuts =
                    parent[from..].iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| from + at);
                for end in cuts.chain([parent.len()]) {
                    around.push(parent[..end].into());
                    entries.push(self.described(&parent[..end]));
                }
            }
            if matches!(entry.kind, Kind::Directory) {
                around.push(entry.path.clone());
                if let (Some(Node::Directory(_)), false) =
                    (self.rules.base.get(&entry.path), self.replaced(&entry.path))
                {
                    entry = self.described(&entry.path);
                }
            }
            entries.push(entry);
        }
        entries
    }

    fn described(&self, path: &[u8]) -> Entry {
        let kind = Kind::Directory;
        match self.rules.base.get(path) {
            Some(Node::Directory(meta)) => {
                Entry { path: path.into(), mode: meta.mode, kind, attributes: Some(Box::new((*meta).into())) }
            }
            _ => Entry { path: path.into(), mode: Meta::default().mode, kind, attributes: None },
        }
    }
}

fn is_within(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
