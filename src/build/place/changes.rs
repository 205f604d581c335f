//! Changes of owner, mode and extended attributes by path, applied to the entries of a layer as
//! they pass in order.

use super::entry_mode;
use super::image_path::{ImagePath, is_below};
use crate::archive::entry::{Attributes, Entry, Kind, Xattrs, display_path, path_order};
use crate::archive::tar::CAPABILITIES;
use crate::build::BuildError;
use crate::build::recipe::files::{ModeRule, accounts::Owner};

/// A change of one path, or of everything below it as well.
#[derive(Clone, Debug)]
pub(super) struct Change<'a> {
    pub(super) path: ImagePath,
    pub(super) recursive: bool,
    pub(super) owner: Option<&'a Owner>,
    pub(super) mode: Option<&'a ModeRule>,
    pub(super) xattrs: &'a Xattrs,
}

/// Changes in the order of the recipe.
#[derive(Debug, Default)]
pub(in crate::build) struct Changes<'a>(Vec<Change<'a>>);

/// Applies changes to entries that pass in order of their paths.
#[derive(Debug)]
pub(in crate::build) struct Pass<'c> {
    changes: &'c [Change<'c>],
    /// The changes by path, as indexes.
    order: Vec<usize>,
    /// The number of changes whose path was reached.
    reached: usize,
    /// Recursive changes of directories above the current path, as indexes.
    above: Vec<usize>,
}

impl<'a> Changes<'a> {
    pub(super) fn push(&mut self, change: Change<'a>) {
        self.0.push(change);
    }

    /// Begins a pass over entries.
    pub(in crate::build) fn pass(&self) -> Pass<'_> {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by(|a, b| path_order(&self.0[*a].path, &self.0[*b].path).then(a.cmp(b)));
        Pass { changes: &self.0, order, reached: 0, above: Vec::new() }
    }
}

impl Pass<'_> {
    /// Applies the changes for the next entry, whose attributes are `default` if it has none of its
    /// own. Returns whether a change sets its owner.
    pub(in crate::build) fn apply(
        &mut self,
        entry: &mut Entry,
        default: &Attributes,
    ) -> Result<bool, BuildError> {
        let changes = self.changes;
        self.above.retain(|index| is_below(&entry.path, &changes[*index].path));
        let mut applied = self.above.clone();
        while let Some(index) = self.order.get(self.reached) {
            let change = &changes[*index];
            if path_order(&change.path, &entry.path).is_gt() {
                break;
            }
            self.reached += 1;
            if change.path == entry.path {
                applied.push(*index);
            }
            if change.recursive {
                self.above.push(*index);
            }
        }
        applied.sort_unstable();
        for index in &applied {
            changes[*index].apply(entry, default)?;
        }
        Ok(applied.iter().any(|index| changes[*index].owner.is_some()))
    }
}

impl Change<'_> {
    fn apply(&self, entry: &mut Entry, default: &Attributes) -> Result<(), BuildError> {
        if let Some(owner) = self.owner {
            let attributes = entry.attributes.get_or_insert_with(|| Box::new(default.clone()));
            **attributes = owned(owner, attributes);
        }
        let is_directory = matches!(entry.kind, Kind::Directory);
        if let Some(mode) = self.mode {
            entry_mode::change(entry, mode);
        }
        let has_attributes = matches!(entry.kind, Kind::Directory | Kind::File(_));
        for (name, value) in self.xattrs {
            // Only regular files have capabilities (capabilities(7)).
            let of_files = **name == *CAPABILITIES;
            let fits = if of_files { has_attributes && !is_directory } else { has_attributes };
            if fits {
                entry.xattrs.insert(name.clone(), value.clone());
            } else if self.path == entry.path && !(self.recursive && of_files) {
                let (path, noun) = (display_path(&entry.path), entry.kind.noun());
                let what = if of_files { "capabilities" } else { "extended attributes" };
                let problem = format!("it is {noun} in the image, which cannot have {what}");
                return Err(BuildError::content(format!("path {path}"), problem));
            }
        }
        Ok(())
    }
}

/// Attributes with the owner `owner` and everything else as in `attributes`.
pub(super) fn owned(owner: &Owner, attributes: &Attributes) -> Attributes {
    let Owner { uid, gid, uname, gname } = owner.clone();
    // The size of the fields in a tar header.
    let fitting = |name: String| if name.len() <= 31 { name } else { String::new() };
    Attributes {
        uid: uid.into(),
        gid: gid.into(),
        uname: fitting(uname),
        gname: fitting(gname),
        mtime: attributes.mtime,
    }
}
