//! Collects the entries of a layer: decides the path of each in the image, and detects conflicts
//! with the base image.

use super::changes::Changes;
use super::current::Current;
use super::entries::PlacedEntries;
use super::expandable::ExpandableLinks;
use super::image_path::ImagePath;
use super::image_view::ImageView;
use super::links::Links;
use crate::archive::Image;
use crate::archive::entry::{Attributes, Entry, Kind};
use crate::archive::resolve::ResolveError;
use crate::archive::tar_file::TarFile;
use crate::archive::tree::Node;
use crate::build::BuildError;
use crate::build::inputs::walk::Filesystems;
use crate::build::inputs::{HostStore, KnownOutputs, Notices};
use crate::build::recipe::files::ConflictRule;
use crate::closure::Closure;

/// The inputs of a placement, in addition to the contents.
pub(in crate::build) struct Rules<'a> {
    /// The base image, if there is one.
    pub(in crate::build) base_image: Option<&'a Image>,
    /// Owner and time of files without their own.
    pub(in crate::build) attributes: Attributes,
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
    /// The outputs, which are left out.
    pub(in crate::build) outputs: &'a KnownOutputs,
    /// Notices for the user.
    pub(in crate::build) notices: &'a Notices,
}

/// Places contents and collects the entries of their layer.
pub(in crate::build) struct Placer<'a> {
    pub(in crate::build) rules: Rules<'a>,
    /// The image so far, for contents that follow.
    pub(in crate::build) image: ImageView<'a>,
    /// The entries, in the order in which they were placed.
    pub(in crate::build) entries: PlacedEntries,
    /// Links that become directories if another content needs their path.
    pub(in crate::build) expandable: ExpandableLinks,
    /// Changes of what was placed.
    pub(in crate::build) changes: Changes<'a>,
    /// The tars of contents.
    pub(in crate::build) tars: Vec<TarFile>,
    pub(super) current: Current<'a>,
    pub(super) filesystems: Filesystems,
    /// The paths of the files with accounts.
    pub(super) account_files: Vec<ImagePath>,
}

impl<'a> Placer<'a> {
    pub(in crate::build) fn new(rules: Rules<'a>, image: ImageView<'a>) -> Self {
        let entries = PlacedEntries::new(rules.remember_paths);
        Self {
            rules,
            image,
            entries,
            expandable: ExpandableLinks::default(),
            changes: Changes::default(),
            tars: Vec::new(),
            current: Current::default(),
            filesystems: Filesystems::new(),
            account_files: Vec::new(),
        }
    }

    /// Places a directory, and returns its path after following symlinks.
    pub(in crate::build) fn directory(
        &mut self,
        path: &[u8],
        mode: u32,
    ) -> Result<ImagePath, BuildError> {
        let path = self.resolved(path)?;
        if !path.is_empty() {
            self.push(self.current.adjusted(Entry::new(path.clone(), mode, Kind::Directory)))?;
        }
        Ok(path)
    }

    /// Places anything but a directory.
    pub(super) fn place(&mut self, entry: Entry) -> Result<(), BuildError> {
        let in_base = self.image.base_node(&entry.path);
        let base_has_directory = matches!(in_base, Some(Node::Directory(_)));
        if base_has_directory && !self.image.is_replaced(&entry.path) {
            return Err(self.conflict_with_base(entry.path, entry.kind.noun(), "a directory"));
        }
        self.push(entry)
    }

    /// Adds an entry, and before it the directories that wait for one.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), BuildError> {
        for directory in std::mem::take(&mut self.current.pending) {
            self.entries.push(directory)?;
        }
        Ok(self.entries.push(entry)?)
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

    /// The path of the directory `path` after following symlinks of the base and of earlier
    /// contents.
    pub(super) fn resolved(&self, path: &[u8]) -> Result<ImagePath, BuildError> {
        self.image.resolve(path).map_err(|error| match error {
            ResolveError::File(_, file) => self.conflict_with_base(file, "a directory", "a file"),
            ResolveError::Loop(_) | ResolveError::TooLong(_) => {
                BuildError::content(self.entries.current_origin_name(), error.to_string())
            }
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
            first_origin: self.entries.current_origin_name().to_owned(),
            second,
            second_origin: "the base image".to_owned(),
            hint: "list the path in replace to replace what the base has",
        }
    }
}
