//! Collects the entries of a layer: decides the path of each in the image, and detects conflicts
//! with the base image.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::path::PathBuf;

use super::changes::Changes;
use super::entry_mode;
use super::hard_links::HardLinks;
use super::image_path::{ImagePath, remove_below};
use super::links::Links;
use super::origin::{ExpandableLink, Origin};
use super::removals::Removals;
use super::sorter::Sorter;
use crate::archive::Image;
use crate::archive::entry::{Attributes, Entry, Kind, parent_of};
use crate::archive::resolve::{ResolveError, resolve};
use crate::archive::tar_file::TarFile;
use crate::archive::tree::{Node, Tree};
use crate::build::BuildError;
use crate::build::inputs::walk::Filesystems;
use crate::build::inputs::{HostStore, Notices};
use crate::build::recipe::files::{ConflictRule, Globs, ModeRule};
use crate::closure::Closure;

/// The inputs of a placement, in addition to the contents.
pub(in crate::build) struct Rules<'a> {
    /// The files of the base image.
    pub(in crate::build) base: &'a Tree,
    /// The base image, if there is one.
    pub(in crate::build) base_image: Option<&'a Image>,
    /// Owner and time of files without their own.
    pub(in crate::build) attributes: Attributes,
    /// Paths where contents may replace the base's files.
    pub(in crate::build) replace: &'a [Box<[u8]>],
    /// The store.
    pub(in crate::build) store: Option<HostStore<'a>>,
    /// The store paths that may be read.
    pub(in crate::build) closure: &'a Closure,
    /// Whether symlinks to directories in the store become copies of the directories.
    pub(in crate::build) follow_dirlinks: bool,
    /// Whether the layer has store paths only. Then it is the same on every base.
    pub(in crate::build) only_store: bool,
    /// The rule for two contents that have a file at the same path.
    pub(in crate::build) on_conflict: ConflictRule,
    /// Whether the paths of all entries are remembered.
    pub(in crate::build) remember_paths: bool,
    /// The output, which is left out of the contents, and what the user must know.
    pub(in crate::build) notices: &'a Notices,
}

/// How the files of the current content are placed.
#[derive(Default)]
pub(super) struct Current<'a> {
    pub(super) globs: Option<&'a Globs>,
    pub(super) attributes: Option<Attributes>,
    pub(super) mode: Option<&'a ModeRule>,
    pub(super) follow_links: bool,
    /// Whether symlinks to directories within the content or the store become copies.
    pub(super) follow_dirlinks: bool,
    pub(super) keep_xattrs: bool,
    /// Whether dropped capabilities are noted.
    pub(super) note_capabilities: bool,
}

/// Places contents and collects the entries of their layer.
pub(in crate::build) struct Placer<'a> {
    pub(in crate::build) rules: Rules<'a>,
    pub(in crate::build) origins: Vec<Origin>,
    pub(in crate::build) placed: Sorter,
    /// By path, then by target.
    pub(in crate::build) expandable: BTreeMap<ImagePath, BTreeMap<ImagePath, ExpandableLink>>,
    /// The folders that links were expanded to, by path.
    pub(in crate::build) expanded: BTreeMap<ImagePath, Vec<PathBuf>>,
    /// Symlinks of earlier contents, which later contents follow.
    links: BTreeMap<ImagePath, Node>,
    /// Symlinks of the current content.
    pub(super) new_links: Vec<(ImagePath, Node)>,
    /// Whether symlinks of the current content are needed later.
    pub(super) collect_links: bool,
    pub(super) filesystems: Filesystems,
    pub(super) current: Current<'a>,
    /// The patterns of the current content that have matched.
    pub(super) used: Vec<bool>,
    /// Directories that are placed when something in them is selected, outermost first.
    pub(super) pending: Vec<Entry>,
    /// The tars of contents.
    pub(in crate::build) tars: Vec<TarFile>,
    /// The targets of hard links.
    pub(in crate::build) hard_links: HardLinks,
    /// Changes of what was placed.
    pub(in crate::build) changes: Changes<'a>,
    /// The paths of the files with accounts.
    pub(in crate::build) account_files: Vec<ImagePath>,
    /// Paths that the recipe removes.
    pub(in crate::build) removals: Removals,
    /// Hashes of the paths that have entries, of directories above them included.
    placed_paths: HashSet<u64>,
    hasher: RandomState,
}

impl<'a> Placer<'a> {
    pub(in crate::build) fn new(rules: Rules<'a>) -> Self {
        Self {
            rules,
            origins: Vec::new(),
            placed: Sorter::default(),
            expandable: BTreeMap::new(),
            expanded: BTreeMap::new(),
            links: BTreeMap::new(),
            new_links: Vec::new(),
            collect_links: false,
            filesystems: Filesystems::new(),
            current: Current::default(),
            used: Vec::new(),
            pending: Vec::new(),
            tars: Vec::new(),
            hard_links: HardLinks::default(),
            changes: Changes::default(),
            account_files: Vec::new(),
            removals: Removals::default(),
            placed_paths: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Begins the next content, which follows the symlinks of all contents before. Its own symlinks
    /// are collected only if `more_follow`.
    pub(in crate::build) fn begin_content(&mut self, more_follow: bool) {
        self.links.extend(std::mem::take(&mut self.new_links));
        self.collect_links = more_follow;
    }

    /// Makes what is placed from now on follow the symlink `path`.
    pub(super) fn follow(&mut self, path: ImagePath, target: Box<[u8]>) {
        self.links.insert(path, Node::Symlink(target));
    }

    /// Forgets the links at `path` and below, which is removed.
    pub(super) fn forget_links(&mut self, path: &[u8]) {
        self.links.remove(path);
        remove_below(&mut self.links, path);
        self.hard_links.remove_all(path);
    }

    /// Places a directory, and returns its path after following symlinks.
    pub(in crate::build) fn directory(
        &mut self,
        path: &[u8],
        mode: u32,
    ) -> Result<ImagePath, BuildError> {
        let path = self.resolved(path)?;
        if !path.is_empty() {
            self.push(self.adjusted(Entry::new(path.clone(), mode, Kind::Directory)))?;
        }
        Ok(path)
    }

    /// The entry with the current content's owner and mode.
    pub(super) fn adjusted(&self, mut entry: Entry) -> Entry {
        if let Some(attributes) = &self.current.attributes {
            let mtime = entry.attributes.as_ref().map_or(attributes.mtime, |own| own.mtime);
            entry.attributes = Some(Box::new(Attributes { mtime, ..attributes.clone() }));
        }
        if let Some(mode) = self.current.mode {
            entry_mode::change(&mut entry, mode);
        }
        entry
    }

    /// Places anything but a directory.
    pub(super) fn place(&mut self, entry: Entry) -> Result<(), BuildError> {
        let base_has_directory = matches!(self.base_node(&entry.path), Some(Node::Directory(_)));
        if base_has_directory && !self.is_replaced(&entry.path) {
            return Err(self.conflict_with_base(entry.path, entry.kind.noun(), "a directory"));
        }
        self.push(entry)
    }

    /// Whether the current content's patterns select `relative`.
    pub(in crate::build) fn selects(&mut self, relative: &[u8]) -> bool {
        self.current.globs.is_none_or(|globs| globs.select(relative, &mut self.used))
    }

    pub(super) fn excludes(&mut self, relative: &[u8]) -> bool {
        self.current.globs.is_some_and(|globs| globs.excludes(relative, &mut self.used))
    }

    /// The rules for symlinks of the current content.
    pub(super) fn links(&self) -> Links<'a> {
        Links {
            store: self.rules.store,
            closure: self.rules.closure,
            follow_links: self.current.follow_links,
            follow_dirlinks: self.current.follow_dirlinks,
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
        } else if self.origins.last().is_some_and(|origin| origin.last_wins) {
            // It replaces a link that was placed before.
            self.hard_links.remove(&entry.path);
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
    pub(super) fn current_origin(&self) -> u32 {
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
                if self.is_replaced(path) { None } else { self.base_node(path) }
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

    /// The file of the base at `path`, unless the recipe removes it.
    pub(in crate::build) fn base_node(&self, path: &[u8]) -> Option<&'a Node> {
        if self.removals.hides_base(path) { None } else { self.rules.base.get(path) }
    }

    /// Whether the recipe lets contents replace the base's file at `path`.
    pub(in crate::build) fn is_replaced(&self, path: &[u8]) -> bool {
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
