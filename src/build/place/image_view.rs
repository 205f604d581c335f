//! The image as contents see it while they are placed: what the base has, and symlinks of earlier
//! contents.

use std::collections::BTreeMap;

use super::image_path::{ImagePath, remove_below};
use super::removals::Removals;
use crate::archive::resolve::{ResolveError, resolve};
use crate::archive::tree::{Node, Tree};

/// The image as the current content sees it: the files of the base, as far as the recipe leaves
/// them, and the symlinks of earlier contents.
pub(in crate::build) struct ImageView<'a> {
    /// The files of the base image.
    pub(in crate::build) base: &'a Tree,
    /// Paths where contents may replace the base's files.
    replace: &'a [Box<[u8]>],
    /// Paths that the recipe removes.
    pub(in crate::build) removals: Removals,
    /// Symlinks of earlier contents, which later contents follow.
    links: BTreeMap<ImagePath, Node>,
    /// Symlinks of the current content.
    new_links: Vec<(ImagePath, Node)>,
    /// Whether symlinks of the current content are needed later.
    collect_links: bool,
}

impl<'a> ImageView<'a> {
    /// The image as the first content sees it.
    pub(in crate::build) fn new(base: &'a Tree, replace: &'a [Box<[u8]>]) -> Self {
        Self {
            base,
            replace,
            removals: Removals::default(),
            links: BTreeMap::new(),
            new_links: Vec::new(),
            collect_links: false,
        }
    }

    /// Begins the next content, which follows the symlinks of all contents before. Its own symlinks
    /// are collected only if `more_follow`.
    pub(in crate::build) fn begin_content(&mut self, more_follow: bool) {
        self.links.extend(std::mem::take(&mut self.new_links));
        self.collect_links = more_follow;
    }

    /// Whether symlinks of the current content are needed later.
    pub(super) fn collects_links(&self) -> bool {
        self.collect_links
    }

    /// Adds symlinks of the current content, which later contents follow.
    pub(super) fn add_links(&mut self, links: impl IntoIterator<Item = (ImagePath, Node)>) {
        self.new_links.extend(links);
    }

    /// Makes what is placed from now on follow the symlink `path`.
    pub(super) fn follow(&mut self, path: ImagePath, target: Box<[u8]>) {
        self.links.insert(path, Node::Symlink(target));
    }

    /// Forgets the symlinks at `path` and below, which is removed.
    pub(super) fn forget_links(&mut self, path: &[u8]) {
        self.links.remove(path);
        remove_below(&mut self.links, path);
    }

    /// The path of the directory `path` after following symlinks of the base and of earlier
    /// contents.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<ImagePath, ResolveError> {
        let node_at = |path: &[u8]| {
            let base = || {
                if self.is_replaced(path) { None } else { self.base_node(path) }
            };
            self.links.get(path).or_else(base)
        };
        resolve(path, node_at)
    }

    /// The file of the base at `path`, unless the recipe removes it.
    pub(in crate::build) fn base_node(&self, path: &[u8]) -> Option<&'a Node> {
        if self.removals.hides_base(path) { None } else { self.base.get(path) }
    }

    /// Whether the recipe lets contents replace the base's file at `path`.
    pub(in crate::build) fn is_replaced(&self, path: &[u8]) -> bool {
        self.replace.iter().any(|replaced| {
            path.strip_prefix(replaced.as_ref())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }
}
