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
use super::tar::{Member, MemberKind, Skip, TarReader};

/// The names of wanted files, by their paths in layers.
pub(super) type Wanted<'p> = BTreeMap<Box<[u8]>, Vec<Name<'p>>>;

/// A name of a wanted file.
#[derive(Clone, Debug)]
pub(super) struct Name<'p> {
    /// The path that was asked for.
    pub(super) path: &'p str,
    /// Whether its content is needed.
    pub(super) content: bool,
    /// The hard link of a layer above that led here: its metadata counts.
    pub(super) link: Option<Box<Member>>,
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

/// Calls `visit` for the wanted files that a layer has, and removes them from `wanted`. A hard link
/// to a file of a lower layer becomes the wish for that file: containerd applies layers on top of
/// each other, and so finds it there. Docker rejects such a layer.
pub(super) fn find_in<'p>(
    image: &Image,
    layer: &LayerBlob,
    wanted: &mut Wanted<'p>,
    visit: &mut impl FnMut(&'p str, &FileInfo),
) -> io::Result<()> {
    let mut entries = entries(image, layer, wanted)?;
    let mut names: BTreeMap<usize, Vec<Name<'p>>> = BTreeMap::new();
    for (path, number) in &entries.numbers {
        names.entry(*number).or_default().extend(wanted.remove(path).unwrap_or_default());
    }
    read_entries(image, layer, names, &mut entries, wanted, visit)?;
    // Nothing below is the file that a hard link names if this layer removes that.
    for (path, names) in wanted.iter_mut() {
        if names.iter().any(|name| name.link.is_some()) && entries.tree.hides(path) {
            names.retain_mut(|name| {
                let Some(link) = name.link.take() else { return true };
                visit(name.path, &FileInfo::new(*link, None));
                false
            });
        }
    }
    wanted.retain(|_, names| !names.is_empty());
    Ok(())
}

/// The entries of a layer.
#[derive(Default)]
struct Entries {
    tree: LayerTree,
    /// The number of the last entry of each wanted path; they begin at 1. Of a hard link, it is
    /// that of the entry that its target had at that point.
    numbers: BTreeMap<Box<[u8]>, usize>,
    /// The metadata that hard links give to files.
    linked: LinkedFiles<usize>,
    /// The targets of hard links to files that the layer does not have.
    lower: BTreeMap<usize, Box<[u8]>>,
}

/// Finds the entries of a layer for the wanted paths.
fn entries(image: &Image, layer: &LayerBlob, wanted: &Wanted<'_>) -> io::Result<Entries> {
    let budget = budget(image);
    let mut reader = decompressed(layer, &budget)?;
    let (mut entries, mut number) = (Entries::default(), 0);
    while let Some(member) = reader.next_member()? {
        number += 1;
        budget.take_entry(&member)?;
        let is_root = || normalize(&member.path).is_some_and(|path| path.is_empty());
        let path = match entries.tree.add(&member)? {
            Some(path) => path,
            None if is_root() => Box::default(),
            None => continue,
        };
        let mut file = number;
        if member.kind == MemberKind::HardLink {
            let target = entries.tree.link_target(&member)?;
            match entries.numbers.get(&target) {
                Some(linked) => {
                    file = *linked;
                    entries.linked.add(file, &member);
                }
                None => drop(entries.lower.insert(number, target)),
            }
        }
        entries.numbers.insert(path, file);
    }
    entries.numbers.retain(|path, _| wanted.contains_key(path));
    Ok(entries)
}

/// Reads the entries with the numbers in `names`, one after another.
fn read_entries<'p>(
    image: &Image,
    layer: &LayerBlob,
    mut names: BTreeMap<usize, Vec<Name<'p>>>,
    entries: &mut Entries,
    wanted: &mut Wanted<'p>,
    visit: &mut impl FnMut(&'p str, &FileInfo),
) -> io::Result<()> {
    let budget = budget(image);
    let (mut reader, mut number) = (decompressed(layer, &budget)?, 0);
    while !names.is_empty() {
        let Some(mut member) = reader.next_member()? else { break };
        number += 1;
        let Some(names) = names.remove(&number) else { continue };
        entries.linked.apply(&number, &mut member);
        if let Some(target) = entries.lower.remove(&number) {
            let link = |name: Name<'p>| Name {
                link: Some(name.link.unwrap_or_else(|| Box::new(member.clone()))),
                ..name
            };
            wanted.entry(target).or_default().extend(names.into_iter().map(link));
            continue;
        }
        let is_needed = names.iter().any(|name| name.content);
        let mut content = None;
        if is_needed && member.kind == MemberKind::File && member.size <= CONTENT_MAX {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            content = Some(bytes);
        }
        let file = FileInfo::new(member, content);
        for name in names {
            match name.link {
                Some(link) => visit(name.path, &file.linked_by(*link)),
                None => visit(name.path, &file),
            }
        }
    }
    Ok(())
}
