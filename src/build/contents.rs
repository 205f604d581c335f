//! Places contents in a layer: decides the path of each file in the image and detects conflicts
//! with the base image.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::BuildError;
use super::host_store::HostStore;
use super::notices::Notices;
use super::sorter::Sorter;
use super::walk::{Filesystems, Folder, Metadata};
use crate::archive::entry::{Entry, Kind, join};
use crate::archive::resolve::{ResolveError, resolve};
use crate::archive::tree::{Node, Tree};
use crate::closure::Closure;

/// The inputs of a placement, in addition to the contents.
pub(super) struct Rules<'a> {
    /// The files of the base image.
    pub(super) base: &'a Tree,
    /// Paths where contents may replace the base's files.
    pub(super) replace: &'a [Box<[u8]>],
    /// The store.
    pub(super) store: Option<HostStore<'a>>,
    /// The store paths that may be read.
    pub(super) closure: &'a Closure,
    /// Whether symlinks to directories become copies of the directories.
    pub(super) follow_dirlinks: bool,
    /// Whether the layer has store paths only. Then it is the same on every base.
    pub(super) only_store: bool,
    /// The output, which is left out of the contents, and what the user must know.
    pub(super) notices: &'a Notices,
}

/// How a content appears in the image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// As a copy.
    Copied,
    /// As directories with symlinks to the files in the store.
    Linked,
}

/// A path in the image, without slashes at either end.
pub(super) type ImagePath = Box<[u8]>;

/// A symlink into the store that leads to a folder. If another content needs the same path, it is
/// expanded to a directory with links to the folder's files.
pub(super) struct ExpandableLink {
    /// The folder on the host.
    pub(super) folder: PathBuf,
    /// The content, as an index.
    pub(super) origin: u32,
}

/// Places contents and collects the entries of their layer.
pub(super) struct Placer<'a> {
    pub(super) rules: Rules<'a>,
    /// The names of the contents, for errors.
    pub(super) origins: Vec<String>,
    pub(super) placed: Sorter,
    /// By path, then by target.
    pub(super) expandable: BTreeMap<ImagePath, BTreeMap<ImagePath, ExpandableLink>>,
    /// Symlinks of earlier contents, which later contents follow.
    links: BTreeMap<ImagePath, Node>,
    /// Symlinks of the current content.
    new_links: Vec<(ImagePath, Node)>,
    /// Whether symlinks of the current content are needed later.
    collect_links: bool,
    filesystems: Filesystems,
}

/// The mode of a directory with links into the store: that of the directory in the store has no
/// permission to write, which is of use there only.
const LINKED_DIRECTORY_MODE: u32 = 0o755;

impl<'a> Placer<'a> {
    pub(super) fn new(rules: Rules<'a>) -> Self {
        Self {
            rules,
            origins: Vec::new(),
            placed: Sorter::default(),
            expandable: BTreeMap::new(),
            links: BTreeMap::new(),
            new_links: Vec::new(),
            collect_links: false,
            filesystems: Filesystems::new(),
        }
    }

    /// Places `source` at `path` in the image: a folder's files directly, another file under its
    /// own name.
    pub(super) fn add(
        &mut self,
        source: &Path,
        path: &[u8],
        placement: Placement,
    ) -> Result<(), BuildError> {
        self.origins.push(source.display().to_string());
        let metadata = Metadata::of(source)?;
        if metadata.is_dir() {
            if !path.is_empty() {
                self.directory(path, metadata.mode())?;
            }
            self.folder(source, path, placement, &mut Vec::new())?;
        } else {
            if self.rules.notices.is_output(metadata.id()) {
                let problem = "the output would replace this file, which is one of the contents; \
                               choose another output";
                return Err(BuildError::content(source, problem));
            }
            let parent = source.parent().unwrap_or(Path::new(""));
            let folder = Folder::open(parent, &mut self.filesystems)?;
            let name = source.file_name().unwrap_or_default().as_bytes();
            self.leaf(&folder, name, &metadata, path, placement)?;
        }
        Ok(())
    }

    /// Begins the next content, which follows the symlinks of all contents before. Its own symlinks
    /// are collected only if `more_follow`.
    pub(super) fn begin_content(&mut self, more_follow: bool) {
        self.links.extend(std::mem::take(&mut self.new_links));
        self.collect_links = more_follow;
    }

    /// Keeps symlinks to directories from here on.
    pub(super) fn keep_dirlinks(&mut self) {
        self.rules.follow_dirlinks = false;
    }

    /// Places the store path `name` in the image's store at `store`.
    pub(super) fn add_store_path(
        &mut self,
        source: &Path,
        store: &[u8],
        name: &str,
    ) -> Result<(), BuildError> {
        let path = if Metadata::of(source)?.is_dir() {
            join(store, name.as_bytes())
        } else {
            store.into()
        };
        self.add(source, &path, Placement::Copied)
    }

    /// Places the files of `folder`. `ancestors` are the folders on the way to it, so that symlinks
    /// between them are not followed forever.
    pub(super) fn folder(
        &mut self,
        folder: &Path,
        path: &[u8],
        placement: Placement,
        ancestors: &mut Vec<PathBuf>,
    ) -> Result<(), BuildError> {
        let opened = Folder::open(folder, &mut self.filesystems)?;
        let path = self.resolved(path)?;
        ancestors.push(folder.to_owned());
        // Subfolders follow when this folder is closed, sorted by name, so that conflicts are the
        // same on every host.
        let mut subfolders = BTreeMap::new();
        opened.children(|child| {
            let source = opened.child_path(&child.name);
            let target = self.followed(&source, &child.metadata, placement, ancestors);
            if child.metadata.is_dir() {
                subfolders.insert(child.name, (source, child.metadata.mode()));
            } else if let Some(target) = target {
                subfolders.insert(child.name, target);
            } else if self.rules.notices.is_output(child.metadata.id()) {
                self.rules.notices.left_out(&source);
            } else {
                self.leaf(&opened, &child.name, &child.metadata, &path, placement)?;
            }
            Ok(())
        })?;
        drop(opened);
        for (name, (source, mode)) in subfolders {
            let is_linked = placement == Placement::Linked;
            let mode = if is_linked { LINKED_DIRECTORY_MODE } else { mode };
            let path = self.directory(&join(&path, &name), mode)?;
            self.folder(&source, &path, placement, ancestors)?;
        }
        ancestors.pop();
        Ok(())
    }

    /// Places a directory, and returns its path after following symlinks.
    pub(super) fn directory(&mut self, path: &[u8], mode: u32) -> Result<ImagePath, BuildError> {
        let path = self.resolved(path)?;
        if !path.is_empty() {
            self.push(Entry::new(path.clone(), mode, Kind::Directory))?;
        }
        Ok(path)
    }

    /// Places anything but a directory.
    fn leaf(
        &mut self,
        folder: &Folder,
        name: &[u8],
        metadata: &Metadata,
        parent: &[u8],
        placement: Placement,
    ) -> Result<(), BuildError> {
        let path = join(parent, name);
        let source = folder.child_path(name);
        let (kind, mode) = match (placement, self.path_in_store(&source)) {
            (Placement::Linked, Some(target)) => {
                if metadata.is_symlink() {
                    self.note_expandable(&path, &target, &source);
                }
                (Kind::Symlink(target), 0o777)
            }
            _ => (folder.kind(name, metadata)?, metadata.mode()),
        };
        let base_has_directory = matches!(self.rules.base.get(&path), Some(Node::Directory(_)));
        if base_has_directory && !self.is_replaced(&path) {
            return Err(self.conflict_with_base(path, kind.noun(), "a directory"));
        }
        // Links into the store lead to files; only a copied symlink may lead to a directory.
        if let (Kind::Symlink(target), Placement::Copied, true) =
            (&kind, placement, self.collect_links)
        {
            self.new_links.push((path.clone(), Node::Symlink(target.clone())));
        }
        self.push(Entry::new(path, mode, kind))
    }

    /// Records the link from `path` to `target` as expandable if `source` leads to a folder in the
    /// store.
    fn note_expandable(&mut self, path: &[u8], target: &[u8], source: &Path) {
        let folder = self.directory_behind(source).map(|(folder, _)| folder);
        if let Some(folder) = folder.filter(|folder| self.path_in_store(folder).is_some()) {
            let link = ExpandableLink { folder, origin: self.current_origin() };
            self.expandable.entry(path.into()).or_default().insert(target.into(), link);
        }
    }

    fn push(&mut self, entry: Entry) -> Result<(), BuildError> {
        let origin = self.current_origin();
        Ok(self.placed.push(entry, origin)?)
    }

    /// The index of the current content.
    fn current_origin(&self) -> u32 {
        self.origins.len().saturating_sub(1) as u32
    }

    fn current_origin_name(&self) -> &str {
        self.origins.last().map_or("", String::as_str)
    }

    /// The path of the directory `path` after following symlinks of the base and of earlier
    /// contents.
    fn resolved(&self, path: &[u8]) -> Result<ImagePath, BuildError> {
        let node_at = |path: &[u8]| {
            let base = || {
                if self.is_replaced(path) { None } else { self.rules.base.get(path) }
            };
            self.links.get(path).or_else(base)
        };
        resolve(path, node_at).map_err(|error| match error {
            ResolveError::File(_, file) => self.conflict_with_base(file, "a directory", "a file"),
            ResolveError::Loop(_) | ResolveError::TooLong(_) => {
                BuildError::content(self.current_origin_name(), error.to_string())
            }
        })
    }

    /// Whether the recipe lets contents replace the base's file at `path`.
    pub(super) fn is_replaced(&self, path: &[u8]) -> bool {
        self.rules.replace.iter().any(|replaced| {
            path.strip_prefix(replaced.as_ref())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }

    fn conflict_with_base(
        &self,
        path: ImagePath,
        first: &'static str,
        second: &'static str,
    ) -> BuildError {
        BuildError::Conflict {
            path,
            first,
            first_origin: self.current_origin_name().to_owned(),
            second,
            second_origin: "the base image".to_owned(),
            hint: "list the path in replace to replace what the base has",
        }
    }

    /// The path in the image of `source`, if that is in the store.
    fn path_in_store(&self, source: &Path) -> Option<ImagePath> {
        let path = self.rules.store?.in_image(source)?;
        Some(path.into_os_string().into_encoded_bytes().into())
    }

    /// The folder to copy instead of the symlink `source`, and its mode; `None` if the symlink
    /// stays. Only folders within the same content or the closure are copied.
    fn followed(
        &self,
        source: &Path,
        metadata: &Metadata,
        placement: Placement,
        ancestors: &[PathBuf],
    ) -> Option<(PathBuf, u32)> {
        let follow = self.rules.follow_dirlinks && placement == Placement::Copied;
        if !follow || !metadata.is_symlink() {
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
        let (Some(store), Some(path)) = (self.rules.store, path) else {
            return false;
        };
        store.dir.split(&path).is_some_and(|(path, _)| self.rules.closure.contains(&path))
    }

    /// The folder that a symlink leads to on the host, and its mode.
    fn directory_behind(&self, link: &Path) -> Option<(PathBuf, u32)> {
        let folder = match self.rules.store {
            Some(store) => store.resolve(link).ok()?,
            None => link.canonicalize().ok()?,
        };
        let metadata = Metadata::of(&folder).ok().filter(Metadata::is_dir)?;
        Some((folder, metadata.mode()))
    }
}
