//! Several layers over each other, with whiteouts, against a simple model of them.
//!
//! Invariant: the tree that the layers make is that of the OCI image specification (`layer.md`): a
//! whiteout and an opaque marker hide only what layers below have, whatever their place among the
//! entries of their layer; an entry replaces what was at its path, and all below it unless both are
//! folders.
#![no_main]

use std::collections::BTreeMap;
use std::io::{self, Read};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use seatrial::archive::Limits;
use seatrial::archive::layer_tree::LayerTree;
use seatrial::archive::tar::{Skip, TarReader};
use seatrial::archive::tree::{Node, Tree};
use seatrial_fuzz::rawtar;

#[derive(Arbitrary, Debug)]
enum Change {
    Folder,
    File,
    Symlink,
    Whiteout,
    Opaque,
}

/// Entries of a layer: few names, so that they meet often.
type Entries = Vec<(Vec<u8>, Change)>;

/// A path of the model: `d` for a folder, `f` for a file, `l` for a symlink.
type Model = BTreeMap<String, char>;

fuzz_target!(|layers: Vec<Entries>| {
    let mut model = Model::new();
    let mut trees = Vec::new();
    for entries in layers.iter().take(5) {
        let entries: Vec<(String, &Change)> =
            entries.iter().take(20).map(|(path, change)| (name(path), change)).collect();
        if contradictory(&entries) {
            return;
        }
        let mut reader = TarReader::new(Bytes(tar(&entries)));
        trees.push(LayerTree::read(&mut reader, &Limits::default()).expect("the layer is valid"));
        apply(&mut model, &entries);
    }
    let tree = Tree::from_layers(trees);
    for path in ALL.iter().flat_map(|a| ALL.iter().flat_map(move |b| paths(a, b))) {
        let found = tree.get(path.as_bytes()).map(|node| match node {
            Node::Directory(_) => 'd',
            Node::Symlink(_) => 'l',
            Node::File => 'f',
        });
        assert_eq!(found, model.get(&path).copied(), "{path}, of {model:?}");
    }
});

const ALL: [&str; 3] = ["a", "a0", "b"];

fn paths(a: &str, b: &str) -> Vec<String> {
    let mut paths = vec![a.to_owned(), format!("{a}/{b}")];
    paths.extend(ALL.iter().map(|c| format!("{a}/{b}/{c}")));
    paths
}

/// A path of one to three names.
fn name(bytes: &[u8]) -> String {
    let part = |byte: &u8| ALL[usize::from(*byte) % ALL.len()];
    match bytes {
        [] => "a".to_owned(),
        bytes => bytes.iter().take(3).map(part).collect::<Vec<_>>().join("/"),
    }
}

/// Whether the layer puts something into what it has as a file, or has a path twice: readers of
/// layers differ on these.
fn contradictory(entries: &[(String, &Change)]) -> bool {
    let places = |change: &Change| !matches!(change, Change::Whiteout | Change::Opaque);
    entries.iter().enumerate().any(|(index, (path, change))| {
        entries[..index].iter().any(|(other, before)| {
            places(change) == places(before) && path == other
                || places(change) != places(before) && path == other
                || !matches!(change, Change::Folder | Change::Whiteout | Change::Opaque)
                    && other.starts_with(&format!("{path}/"))
                || !matches!(before, Change::Folder | Change::Whiteout | Change::Opaque)
                    && path.starts_with(&format!("{other}/"))
        })
    })
}

fn tar(entries: &[(String, &Change)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, change) in entries {
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        let marker = |name: &str| format!("{parent}/{name}").trim_start_matches('/').to_owned();
        let (name, kind, link) = match change {
            Change::Folder => (format!("{path}/"), b'5', ""),
            Change::File => (path.clone(), b'0', ""),
            Change::Symlink => (path.clone(), b'2', "target"),
            Change::Whiteout => (marker(&format!(".wh.{last}")), b'0', ""),
            Change::Opaque => (format!("{path}/.wh..wh..opq"), b'0', ""),
        };
        rawtar::append(&mut tar, name.as_bytes(), kind, link.as_bytes(), b"");
    }
    rawtar::end(&mut tar);
    tar
}

fn apply(model: &mut Model, entries: &[(String, &Change)]) {
    let below = |path: &str, other: &String| other.starts_with(&format!("{path}/"));
    for (path, change) in entries {
        match change {
            Change::Whiteout => model.retain(|other, _| other != path && !below(path, other)),
            Change::Opaque => model.retain(|other, _| !below(path, other)),
            _ => {}
        }
    }
    for (path, change) in entries {
        let kind = match change {
            Change::Folder => 'd',
            Change::File => 'f',
            Change::Symlink => 'l',
            Change::Whiteout | Change::Opaque => continue,
        };
        for (end, _) in path.match_indices('/') {
            if model.get(&path[..end]) != Some(&'d') {
                model.insert(path[..end].to_owned(), 'd');
            }
        }
        if kind != 'd' {
            model.retain(|other, _| !below(path, other));
        }
        model.insert(path.clone(), kind);
    }
}

struct Bytes(Vec<u8>);

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&self.0[..]).read(buffer)?;
        self.0.drain(..count);
        Ok(count)
    }
}

impl Skip for Bytes {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.0.len());
        self.0.drain(..count.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
