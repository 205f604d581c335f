//! The files of an image, as a container sees them, without running one.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::ArchiveError;
use super::blob::LayerBlob;
use super::decompress::{Codec, CountingReader, decompressed_limit};
use super::entry::{join, name_of, parent_of};
use super::image::Image;
use super::tar::{Member, MemberKind, Skip, TarReader};
use super::tree::{Tree, normalize, resolve};

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
        let path_in_image = normalize(path.as_bytes()).unwrap_or_default();
        let parent = resolve(parent_of(&path_in_image), |path| tree.get(path));
        let Ok(parent) = parent else { continue };
        let real = join(&parent, name_of(&path_in_image));
        if tree.get(&real).is_some() {
            wanted.entry(real).or_default().push(path);
        }
    }
    let mut found = BTreeMap::new();
    // The topmost entry counts. Nothing above removes it, or `tree` would not have the path.
    for layer in image.layers.iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let result =
            decompressed(layer).and_then(|reader| find_in(reader, &mut wanted, &mut found));
        result.map_err(ArchiveError::read(&image.path))?;
    }
    Ok(found)
}

/// An entry of one layer.
#[derive(Debug)]
pub struct LayerEntry<'a> {
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
/// that layers above hide.
///
/// # Errors
/// If a layer cannot be read.
pub fn for_each_entry(
    image: &Image,
    mut visit: impl FnMut(&LayerEntry<'_>),
) -> Result<(), ArchiveError> {
    for layer in &image.layers {
        let mut visit_layer = || -> io::Result<()> {
            let mut reader = decompressed(layer)?;
            while let Some(member) = reader.next_member()? {
                let mut head = Vec::new();
                if member.kind == MemberKind::File {
                    (&mut reader).take(HEAD_SIZE as u64).read_to_end(&mut head)?;
                }
                let path = normalize(&member.path).unwrap_or_default();
                visit(&LayerEntry { path: &path, member: &member, head: &head });
            }
            Ok(())
        };
        visit_layer().map_err(ArchiveError::read(&image.path))?;
    }
    Ok(())
}

/// Returns a reader of a layer's tar. In an uncompressed layer, it skips content without reading
/// it.
fn decompressed(layer: &LayerBlob) -> io::Result<TarReader<Box<dyn Skip + Send>>> {
    Ok(TarReader::new(match Codec::detect(&layer.bytes)? {
        Codec::Plain => Box::new(layer.bytes.clone()),
        codec => Box::new(CountingReader::new(
            codec.decode(layer.bytes.clone())?,
            decompressed_limit(layer.bytes.len()),
        )),
    }))
}

/// Moves the paths that a layer has from `wanted` to `found`.
fn find_in<R: Skip>(
    mut reader: TarReader<R>,
    wanted: &mut BTreeMap<Box<[u8]>, Vec<&str>>,
    found: &mut BTreeMap<String, FileInfo>,
) -> io::Result<()> {
    let mut links = Vec::new();
    while let Some(member) = reader.next_member()? {
        let Some(path) = normalize(&member.path).filter(|path| wanted.contains_key(path)) else {
            continue;
        };
        if member.kind == MemberKind::HardLink {
            links.push((path, normalize(&member.link).unwrap_or_default()));
            continue;
        }
        let mut content = None;
        if member.kind == MemberKind::File && member.size <= CONTENT_MAX {
            content = Some(Vec::new());
            content.as_mut().map(|content| reader.read_to_end(content)).transpose()?;
        }
        for name in wanted.remove(&path).unwrap_or_default() {
            found.insert(name.to_owned(), file_info(&member, content.clone()));
        }
    }
    // The content of a hard link is in its target, in this layer or a lower one.
    for (path, target) in links {
        let names = wanted.remove(&path).unwrap_or_default();
        wanted.entry(target).or_default().extend(names);
    }
    Ok(())
}

fn file_info(member: &Member, content: Option<Vec<u8>>) -> FileInfo {
    let Member { kind, mode, uid, gid, size, link, .. } = member.clone();
    FileInfo { kind, mode, uid, gid, size, link, content }
}
