//! The files of an image, as a container sees them, without running one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use super::ArchiveError;
use super::blob::LayerBlob;
use super::decompress::{Codec, CountingReader};
use super::entry::{Xattrs, join};
use super::image::Image;
use super::layer_tree::{LayerTree, normalize};
use super::limits::Budget;
use super::linked_files::LinkedFiles;
use super::resolve::resolve;
use super::tar::{Member, MemberKind, Skip, TarReader};
use super::tree::{Node, Tree};

/// A file, folder or symlink of an image.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// Its kind.
    pub kind: MemberKind,
    /// The twelve permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Size of the content in bytes.
    pub size: u64,
    /// Seconds since 1970; negative for earlier times.
    pub mtime: i64,
    /// Its extended attributes.
    pub xattrs: Xattrs,
    /// The target of a symlink.
    pub link: Vec<u8>,
    /// The content of a regular file; `None` if it is larger than [`CONTENT_MAX`].
    pub content: Option<Vec<u8>>,
}

/// The size of the largest file whose content is read, in bytes.
pub const CONTENT_MAX: u64 = 64 << 20;

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
    let mut wanted: BTreeMap<Box<[u8]>, Vec<&str>> = BTreeMap::new();
    for path in paths {
        let Some(real) = real_path(path.as_bytes(), tree) else { continue };
        // Every container has a root folder.
        if real.is_empty() || tree.get(&real).is_some() {
            wanted.entry(real).or_default().push(path);
        }
    }
    let mut found = BTreeMap::new();
    // The topmost entry counts. Nothing above removes it, or `tree` would not have the path.
    for layer in image.layers.iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let result = find_in(image, layer, &mut wanted, &mut found);
        result.map_err(ArchiveError::read(&image.path))?;
    }
    // Engines create the root, and parent folders for which no layer has an entry.
    let is_folder =
        |path: &[u8]| path.is_empty() || matches!(tree.get(path), Some(Node::Directory(_)));
    let implied = wanted.into_iter().filter(|(path, _)| is_folder(path));
    let names = implied.flat_map(|(_, names)| names);
    found.extend(names.map(|name| (name.to_owned(), FileInfo::implied_folder())));
    Ok(found)
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

impl FileInfo {
    fn new(member: Member, content: Option<Vec<u8>>) -> Self {
        let Member { kind, mode, uid, gid, size, mtime, xattrs, link, .. } = member;
        let kind = match kind {
            // To a file of a lower layer, which Docker rejects.
            MemberKind::HardLink => MemberKind::File,
            kind => kind,
        };
        // Linux has no other mode of symlinks, whatever the entry says.
        let mode = if kind == MemberKind::Symlink { 0o777 } else { mode };
        Self { kind, mode, uid, gid, size, mtime, xattrs, link, content }
    }

    /// A folder for which no layer has an entry, as engines create it.
    fn implied_folder() -> Self {
        Self {
            kind: MemberKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 0,
            xattrs: Xattrs::default(),
            link: Vec::new(),
            content: None,
        }
    }
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

/// The budget for reading layers of `image` again, all of them at most.
fn budget(image: &Image) -> Budget {
    Budget::new(&image.limits, image.layers.iter().map(|layer| layer.bytes.len()).sum())
}

/// Returns a reader of a layer's tar. In an uncompressed layer, it skips content without reading
/// it.
fn decompressed<'b>(
    layer: &LayerBlob,
    budget: &'b Budget,
) -> io::Result<TarReader<Box<dyn Skip + Send + 'b>>> {
    Ok(TarReader::new(match Codec::detect(&layer.bytes)? {
        Codec::Plain => Box::new(layer.bytes.clone()),
        codec => {
            let bytes = budget.reader(codec.decode(layer.bytes.clone())?);
            Box::new(CountingReader::new(bytes))
        }
    }))
}

/// Moves the paths that a layer has from `wanted` to `found`.
fn find_in(
    image: &Image,
    layer: &LayerBlob,
    wanted: &mut BTreeMap<Box<[u8]>, Vec<&str>>,
    found: &mut BTreeMap<String, FileInfo>,
) -> io::Result<()> {
    let (numbers, linked) = entries(image, layer, wanted)?;
    let files = read_entries(image, layer, &numbers.values().copied().collect(), &linked)?;
    for (path, number) in numbers {
        let Some(file) = files.get(&number) else { continue };
        for name in wanted.remove(&path).unwrap_or_default() {
            found.insert(name.to_owned(), file.clone());
        }
    }
    Ok(())
}

/// The numbers of entries, by path, and the metadata that hard links give to them.
type Numbers = (BTreeMap<Box<[u8]>, usize>, LinkedFiles<usize>);

/// Finds the number of the last entry of a layer for each wanted path; they begin at 1. Of a hard
/// link, it is that of the entry that its target had at that point.
fn entries(
    image: &Image,
    layer: &LayerBlob,
    wanted: &BTreeMap<Box<[u8]>, Vec<&str>>,
) -> io::Result<Numbers> {
    let budget = budget(image);
    let mut reader = decompressed(layer, &budget)?;
    let (mut tree, mut number) = (LayerTree::default(), 0);
    let (mut files, mut linked) = (BTreeMap::new(), LinkedFiles::default());
    while let Some(member) = reader.next_member()? {
        number += 1;
        budget.take_entry(&member)?;
        let is_root = || normalize(&member.path).is_some_and(|path| path.is_empty());
        let path = match tree.add(&member)? {
            Some(path) => path,
            None if is_root() => Box::default(),
            None => continue,
        };
        let target = match member.kind {
            MemberKind::HardLink => files.get(&tree.link_target(&member)?).copied(),
            _ => None,
        };
        if let Some(file) = target {
            linked.add(file, &member);
        }
        files.insert(path, target.unwrap_or(number));
    }
    files.retain(|path, _| wanted.contains_key(path));
    Ok((files, linked))
}

/// Reads the entries with `numbers`.
fn read_entries(
    image: &Image,
    layer: &LayerBlob,
    numbers: &BTreeSet<usize>,
    linked: &LinkedFiles<usize>,
) -> io::Result<BTreeMap<usize, FileInfo>> {
    let budget = budget(image);
    let mut reader = decompressed(layer, &budget)?;
    let (mut files, mut number) = (BTreeMap::new(), 0);
    while files.len() < numbers.len() {
        let Some(mut member) = reader.next_member()? else { break };
        number += 1;
        if !numbers.contains(&number) {
            continue;
        }
        let mut content = None;
        if member.kind == MemberKind::File && member.size <= CONTENT_MAX {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            content = Some(bytes);
        }
        linked.apply(&number, &mut member);
        files.insert(number, FileInfo::new(member, content));
    }
    Ok(files)
}
