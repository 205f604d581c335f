//! The content that is being placed: which of its files are, and with which owner and mode.

use super::entry_mode;
use crate::archive::entry::{Attributes, Entry};
use crate::build::recipe::files::{Globs, ModeRule, Used};

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
    /// Whether the entry of the root of a tar describes the folder that it goes to.
    pub(super) has_root: bool,
    /// The patterns that have matched.
    pub(super) used: Used,
    /// Directories that are placed when something in them is selected, outermost first.
    pub(super) pending: Vec<Entry>,
}

impl Current<'_> {
    /// Whether the patterns select `relative`.
    pub(super) fn selects(&mut self, relative: &[u8]) -> bool {
        self.globs.is_none_or(|globs| globs.select(relative, &mut self.used))
    }

    /// Whether the patterns exclude `relative` and everything below it.
    pub(super) fn excludes(&mut self, relative: &[u8]) -> bool {
        self.globs.is_some_and(|globs| globs.excludes(relative, &mut self.used))
    }

    /// The entry with the content's owner and mode.
    pub(super) fn adjusted(&self, mut entry: Entry) -> Entry {
        if let Some(attributes) = &self.attributes {
            let mtime = entry.attributes.as_ref().map_or(attributes.mtime, |own| own.mtime);
            entry.attributes = Some(Box::new(Attributes { mtime, ..attributes.clone() }));
        }
        if let Some(mode) = self.mode {
            entry_mode::change(&mut entry, mode);
        }
        entry
    }
}
