//! Wanted files in one layer of an image.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::blob::LayerBlob;
use super::decompress::{Codec, CountingReader};
use super::file_info::{CONTENT_MAX, FileInfo};
use super::image::Image;
use super::layer_tree::{LayerTree, normalize};
use super::limits::Budget;
use super::linked_files::LinkedFiles;
use super::tar::{MemberKind, Skip, TarReader};
use super::tree::Node;

/// The names of wanted files, by their paths in layers.
pub(super) type Wanted<'p> = BTreeMap<Box<[u8]>, Vec<Name<'p>>>;

/// A name of a wanted file.
#[derive(Clone, Debug)]
pub(super) struct Name<'p> {
    /// The path that was asked for.
    pub(super) path: &'p str,
    /// Whether its content is needed.
    pub(super) content: bool,
}

/// The part of an image in which wanted files are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoundIn {
    /// One layer.
    Layer,
    /// Several layers: the layer has a hard link to a file that it does not have itself. Such a
    /// link also changes the metadata of that file.
    SeveralLayers,
}

/// The budget for reading layers of `image` again, all of them at most.
pub(super) fn budget(image: &Image) -> Budget {
    Budget::new(&image.limits, image.layers.iter().map(|layer| layer.bytes.len()).sum())
}

/// Returns a reader of a layer's tar. In an uncompressed layer, it skips content without reading
/// it.
pub(super) fn decompressed<'b>(
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

/// Calls `visit` for the wanted files that a layer has, and removes them from `wanted`; but for
/// none if they are not to be found in the layer alone.
pub(super) fn find_in<'p>(
    image: &Image,
    layer: &LayerBlob,
    wanted: &mut Wanted<'p>,
    visit: &mut impl FnMut(&'p str, &FileInfo),
) -> io::Result<FoundIn> {
    let Some(entries) = entries(image, layer, wanted)? else { return Ok(FoundIn::SeveralLayers) };
    let mut names: BTreeMap<usize, Vec<Name<'p>>> = BTreeMap::new();
    for (path, number) in &entries.numbers {
        names.entry(*number).or_default().extend(wanted.remove(path).unwrap_or_default());
    }
    read_entries(image, layer, names, &entries.linked, visit)?;
    Ok(FoundIn::Layer)
}

/// The entries of a layer.
#[derive(Default)]
struct Entries {
    /// The number of the last entry of each wanted path; they begin at 1. Of a hard link, it is
    /// that of the entry that its target had at that point.
    numbers: BTreeMap<Box<[u8]>, usize>,
    /// The metadata that hard links give to files.
    linked: LinkedFiles<usize>,
}

/// Finds the entries of a layer for the wanted paths; `None` if it has a hard link to something
/// that is not a file of this layer.
fn entries(image: &Image, layer: &LayerBlob, wanted: &Wanted<'_>) -> io::Result<Option<Entries>> {
    let budget = budget(image);
    let mut reader = decompressed(layer, &budget)?;
    let (mut tree, mut entries, mut number) = (LayerTree::default(), Entries::default(), 0);
    while let Some(member) = reader.next_member()? {
        number += 1;
        budget.take_entry(&member)?;
        let is_root = || normalize(&member.path).is_some_and(|path| path.is_empty());
        let path = match tree.add(&member)? {
            Some(path) => path,
            None if is_root() => Box::default(),
            None => continue,
        };
        let mut file = number;
        if member.kind == MemberKind::HardLink {
            let target = tree.link_target(&member)?;
            match entries.numbers.get(&target) {
                Some(linked) if !matches!(tree.get(&target), Some(Node::Directory(_))) => {
                    file = *linked;
                }
                _ => return Ok(None),
            }
            entries.linked.add(file, &member);
        }
        entries.numbers.insert(path, file);
    }
    entries.numbers.retain(|path, _| wanted.contains_key(path));
    Ok(Some(entries))
}

/// Reads the entries with the numbers in `names`, one after another.
fn read_entries<'p>(
    image: &Image,
    layer: &LayerBlob,
    mut names: BTreeMap<usize, Vec<Name<'p>>>,
    linked: &LinkedFiles<usize>,
    visit: &mut impl FnMut(&'p str, &FileInfo),
) -> io::Result<()> {
    let budget = budget(image);
    let (mut reader, mut number) = (decompressed(layer, &budget)?, 0);
    while !names.is_empty() {
        let Some(mut member) = reader.next_member()? else { break };
        number += 1;
        let Some(names) = names.remove(&number) else { continue };
        linked.apply(&number, &mut member);
        let is_needed = names.iter().any(|name| name.content);
        let mut content = None;
        if is_needed && member.kind == MemberKind::File && member.size <= CONTENT_MAX {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            content = Some(bytes);
        }
        let file = FileInfo::new(member, content);
        names.iter().for_each(|name| visit(name.path, &file));
    }
    Ok(())
}
