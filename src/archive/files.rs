//! The files of an image, as a container sees them, without running one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use super::ArchiveError;
use super::entry::join;
pub use super::file_info::{CONTENT_MAX, FileInfo};
use super::flatten::{FileSystem, FoundPath};
use super::image::Image;
use super::layer_files::{FoundIn, Name, Wanted, budget, decompressed, find_in};
use super::layer_tree::normalize;
use super::resolve::resolve;
use super::tar::{Member, MemberKind};
use super::tree::{Node, Tree};

/// Finds `paths` in `image`, whose layers make up `tree`. Symlinks in parent folders are followed,
/// a symlink at the path itself is not. The result lacks paths that do not exist.
///
/// # Errors
/// If a layer cannot be read.
pub fn find(
    image: &Image,
    tree: &Tree,
    paths: &[&str],
) -> Result<BTreeMap<String, FileInfo>, ArchiveError> {
    let mut found = BTreeMap::new();
    let paths = paths.iter().map(|path| (*path, true));
    for_each_found(image, tree, paths, |path, file| {
        found.insert(path.to_owned(), file.clone());
    })?;
    Ok(found)
}

/// Like [`find`], but calls `visit` for each path that exists, in any order, and holds the content
/// of one file at a time. Each path comes with whether its content is needed; otherwise it may be
/// missing.
pub(crate) fn for_each_found<'p>(
    image: &Image,
    tree: &Tree,
    paths: impl IntoIterator<Item = (&'p str, bool)>,
    mut visit: impl FnMut(&'p str, &FileInfo),
) -> Result<(), ArchiveError> {
    let mut wanted = Wanted::new();
    for (path, content) in paths {
        let Some(real) = real_path(path.as_bytes(), tree) else { continue };
        // Every container has a root folder.
        if real.is_empty() || tree.get(&real).is_some() {
            wanted.entry(real).or_default().push(Name { path, content });
        }
    }
    // The topmost entry counts. Nothing above removes it, or `tree` would not have the path.
    for layer in image.layers.iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let result = find_in(image, layer, &mut wanted, &mut visit);
        if result.map_err(ArchiveError::read(&image.path))? == FoundIn::SeveralLayers {
            return find_in_all(image, wanted, visit);
        }
    }
    // Engines create the root, and parent folders for which no layer has an entry.
    let is_folder =
        |path: &[u8]| path.is_empty() || matches!(tree.get(path), Some(Node::Directory(_)));
    for (path, names) in wanted {
        if is_folder(&path) {
            names.iter().for_each(|name| visit(name.path, &FileInfo::implied_folder()));
        }
    }
    Ok(())
}

/// Calls `visit` for the wanted files of an image, all layers of which are read. That takes longer,
/// but finds the files that hard links to lower layers name.
fn find_in_all<'p>(
    image: &Image,
    wanted: Wanted<'p>,
    mut visit: impl FnMut(&'p str, &FileInfo),
) -> Result<(), ArchiveError> {
    let files = FileSystem::read_with_broken_links(image, 1)?;
    for (path, names) in wanted {
        let found = if path.is_empty() { files.root()? } else { files.find(&path)? };
        let file = match found {
            Some(FoundPath::Entry(_, member)) => {
                let content = match names.iter().any(|name| name.content) {
                    true => files.content(&path, CONTENT_MAX)?,
                    false => None,
                };
                FileInfo::new(*member, content)
            }
            Some(FoundPath::Implied) => FileInfo::implied_folder(),
            // Engines create the root.
            None if path.is_empty() => FileInfo::implied_folder(),
            None => continue,
        };
        names.iter().for_each(|name| visit(name.path, &file));
    }
    Ok(())
}

/// The path in layers of the file that a container has at `path`: symlinks in parent folders and
/// `..` are followed, a symlink at the path itself is not.
fn real_path(path: &[u8], tree: &Tree) -> Option<Box<[u8]>> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let is_name = |part: &&[u8]| !matches!(*part, b"" | b".");
    let last = parts.iter().rposition(is_name).unwrap_or_default();
    let (parent, name) = match parts[last] {
        b".." => (parts.as_slice(), &b""[..]),
        name => (&parts[..last], name),
    };
    let parent = resolve(&parent.join(&b'/'), |path| tree.get(path)).ok()?;
    Some(match name {
        b"" | b"." => parent,
        name => join(&parent, name),
    })
}

/// An entry of one layer.
#[derive(Debug)]
pub struct LayerEntry<'a> {
    /// The index of the layer.
    pub layer: usize,
    /// Its path, without a slash at either end.
    pub path: &'a [u8],
    /// Its metadata.
    pub member: &'a Member,
    /// The first bytes of a regular file, at most [`HEAD_SIZE`].
    pub head: &'a [u8],
}

/// The number of bytes that [`for_each_entry`] reads of a file.
pub const HEAD_SIZE: usize = 64;

/// Calls `visit` for every entry in the layers of `image`, lowest layer first, including entries
/// that layers above hide. A layer that the image contains several times is visited once.
///
/// # Errors
/// If a layer cannot be read.
pub fn for_each_entry(
    image: &Image,
    mut visit: impl FnMut(&LayerEntry<'_>),
) -> Result<(), ArchiveError> {
    let mut visited = BTreeSet::new();
    for (layer, blob) in image.layers.iter().enumerate() {
        if !visited.insert((&blob.name, blob.diff_id)) {
            continue;
        }
        let mut visit_layer = || -> io::Result<()> {
            let budget = budget(image);
            let mut reader = decompressed(blob, &budget)?;
            while let Some(member) = reader.next_member()? {
                let mut head = Vec::new();
                if member.kind == MemberKind::File {
                    (&mut reader).take(HEAD_SIZE as u64).read_to_end(&mut head)?;
                }
                let path = normalize(&member.path).unwrap_or_default();
                visit(&LayerEntry { layer, path: &path, member: &member, head: &head });
            }
            Ok(())
        };
        visit_layer().map_err(ArchiveError::read(&image.path))?;
    }
    Ok(())
}
