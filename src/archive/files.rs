//! Single files of an image: what a container finds at a path, without one.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::ArchiveError;
use super::blob::LayerBlob;
use super::decompress::{Codec, Counted, bomb_limit};
use super::entry::{join, name_of, parent_of};
use super::open::Image;
use super::tar::{Member, MemberKind, Skip, TarReader};
use super::tree::{Tree, clean, resolve};

/// What is at a path.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is.
    pub kind: MemberKind,
    /// The twelve permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Size of the content in bytes.
    pub size: u64,
    /// Where a symlink leads.
    pub link: Vec<u8>,
    /// A file's content; `None` for what is no file, or is larger than [`CONTENT_MAX`].
    pub content: Option<Vec<u8>>,
}

/// The largest file whose content is looked at, in bytes.
pub const CONTENT_MAX: u64 = 64 << 20;

/// Looks for `paths` in `image`, whose layers show `tree`. Symlinks on the way to a path are followed, one that the path
/// itself is is not. Paths at which there is nothing are left out.
///
/// # Errors
/// When a layer cannot be read.
pub fn find(
    image: &Image,
    tree: &Tree,
    paths: &[&str],
) -> Result<BTreeMap<String, Found>, ArchiveError> {
    let mut wanted: BTreeMap<Box<[u8]>, Vec<&str>> = BTreeMap::new();
    for path in paths {
        let cleaned = clean(path.as_bytes()).unwrap_or_default();
        let Ok(parent) = resolve(parent_of(&cleaned), |path| tree.get(path)) else { continue };
        let real = join(&parent, name_of(&cleaned));
        if tree.get(&real).is_some() {
            wanted.entry(real).or_default().push(path);
        }
    }
    let mut found = BTreeMap::new();
    // What is on top counts; the tree has told already that nothing above removes it.
    for layer in image.layers.iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let looked = unpacked(layer).and_then(|reader| look(reader, &mut wanted, &mut found));
        looked.map_err(ArchiveError::read(&image.path))?;
    }
    Ok(found)
}

/// Something that a layer has.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Its path, without a slash at either end.
    pub path: &'a [u8],
    /// Its metadata.
    pub member: &'a Member,
    /// How a file's content begins; up to [`HEAD`] bytes.
    pub head: &'a [u8],
}

/// How much of a file is seen.
pub const HEAD: usize = 64;

/// Tells `seen` of everything in the layers of `image`, bottom first, what layers above hide included.
///
/// # Errors
/// When a layer cannot be read.
pub fn each(image: &Image, mut seen: impl FnMut(&Seen<'_>)) -> Result<(), ArchiveError> {
    for layer in &image.layers {
        let mut pass = || -> io::Result<()> {
            let mut reader = unpacked(layer)?;
            while let Some(member) = reader.next_member()? {
                let mut head = Vec::new();
                if member.kind == MemberKind::File {
                    (&mut reader).take(HEAD as u64).read_to_end(&mut head)?;
                }
                let path = clean(&member.path).unwrap_or_default();
                seen(&Seen { path: &path, member: &member, head: &head });
            }
            Ok(())
        };
        pass().map_err(ArchiveError::read(&image.path))?;
    }
    Ok(())
}

/// A layer's tar. Of one that is stored as it is, what is not asked for is not read.
fn unpacked(layer: &LayerBlob) -> io::Result<TarReader<Box<dyn Skip + Send>>> {
    Ok(TarReader::new(match Codec::detect(&layer.bytes)? {
        Codec::Plain => Box::new(layer.bytes.clone()),
        codec => Box::new(Counted::new(
            codec.decode(layer.bytes.clone())?,
            bomb_limit(layer.bytes.len()),
        )),
    }))
}

fn look<R: Skip>(
    mut reader: TarReader<R>,
    wanted: &mut BTreeMap<Box<[u8]>, Vec<&str>>,
    found: &mut BTreeMap<String, Found>,
) -> io::Result<()> {
    let mut links = Vec::new();
    while let Some(member) = reader.next_member()? {
        let Some(path) = clean(&member.path).filter(|path| wanted.contains_key(path)) else {
            continue;
        };
        if member.kind == MemberKind::HardLink {
            links.push((path, clean(&member.link).unwrap_or_default()));
            continue;
        }
        let mut content = None;
        if member.kind == MemberKind::File && member.size <= CONTENT_MAX {
            content = Some(Vec::new());
            content.as_mut().map(|content| reader.read_to_end(content)).transpose()?;
        }
        for name in wanted.remove(&path).unwrap_or_default() {
            found.insert(name.to_owned(), as_found(&member, content.clone()));
        }
    }
    // A hard link is what it leads to, in this layer or one below.
    for (path, target) in links {
        let names = wanted.remove(&path).unwrap_or_default();
        wanted.entry(target).or_default().extend(names);
    }
    Ok(())
}

fn as_found(member: &Member, content: Option<Vec<u8>>) -> Found {
    let Member { kind, mode, uid, gid, size, link, .. } = member.clone();
    Found { kind, mode, uid, gid, size, link, content }
}
