//! Hard links: of the names of a file, the first one in a layer has its content, because a tar's
//! reader must have made the file that a link names.

use std::collections::BTreeMap;

use crate::archive::entry::{Entry, FileContent, Kind, display_path, path_order};
use crate::build::BuildError;
use crate::build::place::{HardLinks, ImagePath, Placed, Placer};

/// The entries of hard links and of the files that they name, as they are in the layer, by path.
pub(super) type LinkEntries = BTreeMap<ImagePath, Entry>;

/// Turns `found`, which has merged entries, into those of the layer: of each file and the links to
/// it, the first has the content, and all have the same metadata.
pub(super) fn resolve(links: &HardLinks, found: LinkEntries) -> Result<LinkEntries, BuildError> {
    let mut names: BTreeMap<ImagePath, Vec<ImagePath>> = BTreeMap::new();
    for entry in found.values() {
        if let Kind::HardLink(target) = &entry.kind {
            let target = links.follow(target);
            names.entry(target.into()).or_default().push(entry.path.clone());
        }
    }
    let mut resolved = LinkEntries::new();
    for (target, mut names) in names {
        let is_file = |entry: &&Entry| !matches!(entry.kind, Kind::Directory | Kind::HardLink(_));
        let file = found.get(&target).filter(is_file);
        let Some(file) = file else {
            let (link, target) = (display_path(&names[0]), display_path(&target));
            let problem = format!(
                "{link} is a hard link to {target}, which is not a file of the same layer; name a \
                 file of the contents"
            );
            return Err(BuildError::content(link, problem));
        };
        names.push(target.clone());
        names.sort_by(|a, b| path_order(a, b));
        let first = names[0].clone();
        for name in names {
            let kind = match name == first {
                true => content(file),
                false => Kind::HardLink(first.clone()),
            };
            let entry = Entry { path: name.clone(), kind, ..file.clone() };
            resolved.insert(name, entry);
        }
    }
    Ok(resolved)
}

impl Placer<'_> {
    /// Fails if `placed` is a hard link to a file that the recipe removes. A file that it makes
    /// there again is another one.
    pub(in crate::build) fn check_link(&self, placed: &Placed) -> Result<(), BuildError> {
        let Kind::HardLink(target) = &placed.entry.kind else { return Ok(()) };
        let origin = &self.entries.origin(placed.origin);
        let removed = self.image.removals.removed_of(target, placed.origin, origin);
        removed.map_or(Ok(()), |removed| {
            let paths = [&placed.entry.path, target, removed].map(|path| display_path(path));
            let [link, target, removed] = paths;
            let problem = format!(
                "it is a hard link to {target}, which path {removed} removes; remove {link} too, \
                 or make it a file"
            );
            Err(BuildError::content(link, problem))
        })
    }
}

/// The kind of `file` for an entry with another name.
fn content(file: &Entry) -> Kind {
    let mut kind = file.kind.clone();
    if let Kind::File(FileContent::Host(host)) = &mut kind {
        host.name.get_or_insert_with(|| file.name().into());
    }
    kind
}
