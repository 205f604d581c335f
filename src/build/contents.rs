//! Places contents in a layer: decides the path of each file in the image and detects conflicts
//! with the base image.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::BuildError;
use super::changes::{self, Changes};
use super::files::{ConflictRule, Globs, ModeRule, XattrRule};
use super::host_store::HostStore;
use super::image_path::ImagePath;
use super::inputs::Content;
use super::links::{Behind, Links};
use super::notices::Notices;
use super::origin::{ExpandableLink, Origin, Placement};
use super::sorter::Sorter;
use super::walk::{self, Filesystems, Folder, Metadata};
use crate::archive::Image;
use crate::archive::entry::{Attributes, Entry, FileContent, Kind, join, name_of, parent_of};
use crate::archive::resolve::{ResolveError, resolve};
use crate::archive::tar_file::TarFile;
use crate::archive::tree::{Node, Tree};
use crate::closure::Closure;

/// The inputs of a placement, in addition to the contents.
pub(super) struct Rules<'a> {
    /// The files of the base image.
    pub(super) base: &'a Tree,
    /// The base image, if there is one.
    pub(super) base_image: Option<&'a Image>,
    /// Owner and time of files without their own.
    pub(super) attributes: Attributes,
    /// Paths where contents may replace the base's files.
    pub(super) replace: &'a [Box<[u8]>],
    /// The store.
    pub(super) store: Option<HostStore<'a>>,
    /// The store paths that may be read.
    pub(super) closure: &'a Closure,
    /// Whether symlinks to directories in the store become copies of the directories.
    pub(super) follow_dirlinks: bool,
    /// Whether the layer has store paths only. Then it is the same on every base.
    pub(super) only_store: bool,
    /// The rule for two contents that have a file at the same path.
    pub(super) on_conflict: ConflictRule,
    /// Whether the paths of all entries are remembered.
    pub(super) remember_paths: bool,
    /// The output, which is left out of the contents, and what the user must know.
    pub(super) notices: &'a Notices,
}

/// How the files of the current content are placed.
#[derive(Default)]
struct Current<'a> {
    globs: Option<&'a Globs>,
    attributes: Option<Attributes>,
    mode: Option<&'a ModeRule>,
    follow_links: bool,
    /// Whether symlinks to directories within the content or the store become copies.
    follow_dirlinks: bool,
    keep_xattrs: bool,
    /// Whether dropped capabilities are noted.
    note_capabilities: bool,
}

/// A folder on the host that is placed, and the way to it.
struct Place<'p> {
    /// The folder.
    source: &'p Path,
    /// Its path within the content.
    relative: Box<[u8]>,
    /// Its path in the image.
    path: ImagePath,
    placement: Placement,
}

/// Places contents and collects the entries of their layer.
pub(super) struct Placer<'a> {
    pub(super) rules: Rules<'a>,
    pub(super) origins: Vec<Origin>,
    pub(super) placed: Sorter,
    /// By path, then by target.
    pub(super) expandable: BTreeMap<ImagePath, BTreeMap<ImagePath, ExpandableLink>>,
    /// Symlinks of earlier contents, which later contents follow.
    links: BTreeMap<ImagePath, Node>,
    /// Symlinks of the current content.
    new_links: Vec<(ImagePath, Node)>,
    /// Whether symlinks of the current content are needed later.
    collect_links: bool,
    pub(super) filesystems: Filesystems,
    current: Current<'a>,
    /// The patterns of the current content that have matched.
    used: Vec<bool>,
    /// Directories that are placed when something in them is selected, outermost first.
    pending: Vec<Entry>,
    /// The tars of contents.
    pub(super) tars: Vec<TarFile>,
    /// The targets of hard links.
    pub(super) hard_links: BTreeMap<ImagePath, ImagePath>,
    /// Changes of what was placed.
    pub(super) changes: Changes<'a>,
    /// Paths that are removed, and whether the base has them.
    pub(super) removed: BTreeMap<ImagePath, bool>,
    /// Hashes of the paths that have entries, of directories above them included.
    placed_paths: HashSet<u64>,
    hasher: RandomState,
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
            current: Current::default(),
            used: Vec::new(),
            pending: Vec::new(),
            tars: Vec::new(),
            hard_links: BTreeMap::new(),
            changes: Changes::default(),
            removed: BTreeMap::new(),
            placed_paths: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Places `content`: a folder's files at its target, another file as its target, or in it under
    /// its own name.
    pub(super) fn add(
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
        };
        self.used.clear();
        match &content.tar {
            Some(tar) => self.add_tar(tar, &entry.target)?,
            None => {
                self.add_source(&content.source, &entry.target, entry.target_is_folder, placement)?
            }
        }
        for glob in entry.globs.unused(&self.used) {
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
        self.origins.push(Origin::content(source.display().to_string()));
        let metadata = Metadata::of(source)?;
        if metadata.is_dir() {
            if !path.is_empty() {
                let entry = Entry::new(path, metadata.mode(), Kind::Directory);
                self.folder_entry(entry, source, true)?;
            }
            let place = Place { source, relative: Box::default(), path: path.into(), placement };
            self.folder_files(&place, &mut Vec::new())?;
            self.pending.clear();
            return Ok(());
        }
        if self.rules.notices.is_output(metadata.id()) {
            let problem = "the output would replace this file, which is one of the contents; \
                           choose another output";
            return Err(BuildError::content(source, problem));
        }
        let parent = source.parent().unwrap_or(Path::new(""));
        let folder = Folder::open(parent, &mut self.filesystems)?;
        let name = source.file_name().unwrap_or_default().as_bytes();
        if !self.selects(name) {
            return Ok(());
        }
        let (parent, own_name) = match path_is_folder {
            true => (path, name),
            false => (parent_of(path), name_of(path)),
        };
        let path = join(&self.resolved(parent)?, own_name);
        self.leaf(&folder, name, &metadata, path, placement)
    }

    /// Begins the next content, which follows the symlinks of all contents before. Its own symlinks
    /// are collected only if `more_follow`.
    pub(super) fn begin_content(&mut self, more_follow: bool) {
        self.links.extend(std::mem::take(&mut self.new_links));
        self.collect_links = more_follow;
    }

    /// Places the store path `name` in the image's store at `store`.
    pub(super) fn add_store_path(
        &mut self,
        source: &Path,
        store: &[u8],
        name: &str,
    ) -> Result<(), BuildError> {
        let path = join(store, name.as_bytes());
        self.add_source(source, &path, false, Placement::Copied)
    }

    /// Places the files of `folder` at `path`, as links into the store.
    pub(super) fn linked_folder(&mut self, folder: &Path, path: &[u8]) -> Result<(), BuildError> {
        let path = path.into();
        let place =
            Place { source: folder, relative: Box::default(), path, placement: Placement::Linked };
        self.folder_files(&place, &mut Vec::new())
    }

    /// Places the files of a folder. `ancestors` are the folders on the way to it, so that symlinks
    /// between them are not followed forever.
    fn folder_files(
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
            if self.current.globs.is_some() {
                let relative = join(&place.relative, &child.name);
                let skipped = match child.metadata.is_dir() {
                    true => self.excludes(&relative),
                    false => !self.selects(&relative),
                };
                if skipped {
                    return Ok(());
                }
            }
            match self.links().behind(&source, &child.metadata, placement, ancestors)? {
                Behind::Itself if child.metadata.is_dir() => {
                    subfolders.insert(child.name, (source, child.metadata.mode()));
                }
                Behind::Itself if self.rules.notices.is_output(child.metadata.id()) => {
                    self.rules.notices.left_out(&source);
                }
                Behind::Itself => {
                    let path = join(&path, &child.name);
                    self.leaf(&opened, &child.name, &child.metadata, path, placement)?;
                }
                Behind::Folder(folder, mode) => {
                    subfolders.insert(child.name, (folder, mode));
                }
                Behind::File(file, metadata) if self.rules.notices.is_output(metadata.id()) => {
                    self.rules.notices.left_out(&file);
                }
                Behind::File(file, metadata) => {
                    let parent = file.parent().unwrap_or(Path::new(""));
                    let folder = Folder::open(parent, &mut self.filesystems)?;
                    let name = file.file_name().unwrap_or_default().as_bytes();
                    let path = join(&path, &child.name);
                    self.leaf(&folder, name, &metadata, path, placement)?;
                }
            }
            Ok(())
        })?;
        drop(opened);
        for (name, (source, mode)) in subfolders {
            let is_linked = placement == Placement::Linked;
            let mode = if is_linked { LINKED_DIRECTORY_MODE } else { mode };
            let relative = match self.current.globs {
                Some(_) => join(&place.relative, &name),
                None => Box::default(),
            };
            let selected = self.current.globs.is_none() || self.selects(&relative);
            let pending = self.pending.len();
            let entry = Entry::new(join(&path, &name), mode, Kind::Directory);
            let path = self.folder_entry(entry, &source, selected)?;
            self.folder_files(&Place { source: &source, relative, path, placement }, ancestors)?;
            self.pending.truncate(pending);
        }
        ancestors.pop();
        Ok(())
    }

    /// Places a directory, and returns its path after following symlinks.
    pub(super) fn directory(&mut self, path: &[u8], mode: u32) -> Result<ImagePath, BuildError> {
        let path = self.resolved(path)?;
        if !path.is_empty() {
            self.push(self.adjusted(Entry::new(path.clone(), mode, Kind::Directory)))?;
        }
        Ok(path)
    }

    /// Places the directory `entry` for the folder `source`, if it is `selected`; otherwise when
    /// something in it is. Returns its path after following symlinks.
    fn folder_entry(
        &mut self,
        entry: Entry,
        source: &Path,
        selected: bool,
    ) -> Result<ImagePath, BuildError> {
        let path = self.resolved(&entry.path)?;
        let mut entry = self.adjusted(Entry { path: path.clone(), ..entry });
        if self.current.keep_xattrs {
            entry.xattrs = walk::xattrs(source)?;
        }
        if selected {
            self.push(entry)?;
        } else {
            self.pending.push(entry);
        }
        Ok(path)
    }

    /// Places the file `name` of `folder`, which is anything but a directory, at `path`.
    fn leaf(
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
            (&kind, placement, self.collect_links)
        {
            self.new_links.push((path.clone(), Node::Symlink(target.clone())));
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
        self.place(self.adjusted(entry))
    }

    /// The entry with the current content's owner and mode.
    pub(super) fn adjusted(&self, mut entry: Entry) -> Entry {
        if let Some(attributes) = &self.current.attributes {
            let mtime = entry.attributes.as_ref().map_or(attributes.mtime, |own| own.mtime);
            entry.attributes = Some(Box::new(Attributes { mtime, ..attributes.clone() }));
        }
        if let Some(mode) = self.current.mode.filter(|_| !matches!(entry.kind, Kind::Symlink(_))) {
            entry.mode = mode.apply(entry.mode, matches!(entry.kind, Kind::Directory));
        }
        entry
    }

    /// Places anything but a directory.
    pub(super) fn place(&mut self, entry: Entry) -> Result<(), BuildError> {
        let base_has_directory =
            matches!(self.rules.base.get(&entry.path), Some(Node::Directory(_)));
        if base_has_directory && !self.is_replaced(&entry.path) {
            return Err(self.conflict_with_base(entry.path, entry.kind.noun(), "a directory"));
        }
        self.push(entry)
    }

    /// Whether the current content's patterns select `relative`.
    pub(super) fn selects(&mut self, relative: &[u8]) -> bool {
        self.current.globs.is_none_or(|globs| globs.select(relative, &mut self.used))
    }

    fn excludes(&mut self, relative: &[u8]) -> bool {
        self.current.globs.is_some_and(|globs| globs.excludes(relative, &mut self.used))
    }

    /// The rules for symlinks of the current content.
    fn links(&self) -> Links<'a> {
        Links {
            store: self.rules.store,
            closure: self.rules.closure,
            follow_links: self.current.follow_links,
            follow_dirlinks: self.current.follow_dirlinks,
        }
    }

    /// Records the link from `path` to `target` as expandable if `source` leads to a folder in the
    /// store.
    fn note_expandable(&mut self, path: &[u8], target: &[u8], source: &Path) {
        let folder = self.links().directory_behind(source).map(|(folder, _)| folder);
        if let Some(folder) = folder.filter(|folder| self.links().path_in_store(folder).is_some()) {
            let link = ExpandableLink { folder, origin: self.current_origin() };
            self.expandable.entry(path.into()).or_default().insert(target.into(), link);
        }
    }

    /// Adds an entry, and before it the directories that wait for one.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), BuildError> {
        for directory in std::mem::take(&mut self.pending) {
            self.push_one(directory)?;
        }
        self.push_one(entry)
    }

    fn push_one(&mut self, entry: Entry) -> Result<(), BuildError> {
        if let Kind::HardLink(target) = &entry.kind {
            self.hard_links.insert(entry.path.clone(), target.clone());
        }
        if self.rules.remember_paths {
            let mut path: &[u8] = &entry.path;
            while !path.is_empty() && self.placed_paths.insert(self.hasher.hash_one(path)) {
                path = parent_of(path);
            }
        }
        let origin = self.current_origin();
        Ok(self.placed.push(entry, origin)?)
    }

    /// Whether `path`, or something below it, has an entry. Needs `remember_paths`.
    pub(super) fn has_placed(&self, path: &[u8]) -> bool {
        self.placed_paths.contains(&self.hasher.hash_one(path))
    }

    /// The index of the current content.
    fn current_origin(&self) -> u32 {
        self.origins.len().saturating_sub(1) as u32
    }

    fn current_origin_name(&self) -> &str {
        self.origins.last().map_or("", |origin| origin.name.as_str())
    }

    /// The path of the directory `path` after following symlinks of the base and of earlier
    /// contents.
    pub(super) fn resolved(&self, path: &[u8]) -> Result<ImagePath, BuildError> {
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
}
