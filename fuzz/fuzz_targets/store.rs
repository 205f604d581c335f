//! A store whose paths refer to each other, some of which are the contents of an image.
//!
//! Invariant: a build succeeds or reports a conflict between contents; the image has exactly the
//! store paths that the contents reach, each in one layer; each file of the contents can be found
//! at `/`; neither the order of the graph nor the number of threads changes the image.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use seatrial::archive::files;
use seatrial::archive::tar::MemberKind;
use seatrial::archive::tree::Tree;
use seatrial::build::{BuildError, Options};
use seatrial_fuzz::reading::{self, PLAIN, Verified};
use serde_json::json;

#[derive(Arbitrary, Debug)]
struct Input {
    paths: Vec<StorePath>,
    contents: Vec<u8>,
    single: bool,
    keep_links: bool,
    max_layers: u8,
}

#[derive(Arbitrary, Debug)]
struct StorePath {
    references: Vec<u8>,
    files: Vec<(u8, File)>,
}

#[derive(Arbitrary, Debug)]
enum File {
    Regular,
    /// A symlink to a place in a store path.
    Link(u8, u8),
    /// A symlink to a folder of a store path.
    FolderLink(u8, u8),
}

const PATHS_MAX: usize = 6;
const FILES_MAX: usize = 8;
/// Places of files, some of them below others, which then are folders.
const PLACES: [&str; 6] = ["bin/x", "bin/y", "lib/x", "lib/x/deep/z", "top", "share/man/x"];
const FOLDERS: [&str; 5] = ["bin", "lib", "lib/x", "share", ""];

fuzz_target!(|input: Input| {
    let count = input.paths.len().min(PATHS_MAX);
    if count == 0 {
        return;
    }
    let Ok(folder) = tempfile::tempdir() else { return };
    let number = |byte: u8| usize::from(byte) % count;
    let Ok(planted) = input.plant(&folder.path().join("store"), count) else { return };
    let contents: Vec<usize> = input.contents.iter().take(3).map(|byte| number(*byte)).collect();
    let recipe = json!({
        "name": "store", "tag": "1", "store": { "source": "store", "closure": "graph.json" },
        "contents": contents.iter().map(|n| store_path(*n)).collect::<Vec<_>>(),
        "layering": if input.single { "single" } else { "popularity" },
        "keep_contents_dirlinks": input.keep_links,
        "max_layers": 2 + input.max_layers % 8,
    })
    .to_string();
    let build = |order: &mut dyn Iterator<Item = usize>, threads| {
        let graph: Vec<_> = order.map(|n| input.node(n, count)).collect();
        fs::write(folder.path().join("graph.json"), json!(graph).to_string())
            .map(|()| {
                reading::build(
                    &folder.path().join("recipe.json"),
                    &recipe,
                    Options { threads, ..PLAIN },
                )
            })
            .expect("a temporary file")
    };
    let again = build(&mut (0..count).rev(), 3);
    let (file, summary) = match build(&mut (0..count), 1) {
        Ok(built) => built,
        Err(BuildError::Conflict { .. }) => return assert!(again.is_err()),
        Err(error) => panic!("{error}"),
    };
    let (_, same) = again.expect("the order of the graph does not matter");
    assert_eq!(summary.id, same.id);
    let verified = reading::verified(file.path()).expect("an image that was built is accepted");
    check_closure(&verified, &input.reached(&contents, count));
    let Verified { image, layers } = verified;
    let tree = Tree::from_layers(layers.into_iter().map(|layer| layer.tree));
    for (place, content) in contents.iter().flat_map(|n| &planted[n]) {
        let find = |path: &str| {
            files::find(&image, &tree, &[path]).expect("a verified image is read").remove(path)
        };
        let found = find(place).unwrap_or_else(|| panic!("{place} is missing"));
        let found = match found.kind {
            MemberKind::Symlink => find(&String::from_utf8_lossy(&found.link)),
            _ => Some(found),
        };
        let found = found.and_then(|found| found.content);
        let planted = contents.iter().filter_map(|n| planted[n].get(place));
        assert!(planted.clone().any(|one| found.as_ref() == Some(one)), "{place}: {content:?}");
    }
});

fn store_path(number: usize) -> String {
    format!("/nix/store/{number}-name")
}

impl Input {
    fn node(&self, number: usize, count: usize) -> serde_json::Value {
        let references: Vec<_> = self.references(number, count).map(store_path).collect();
        json!({ "path": store_path(number), "references": references })
    }

    /// The store paths that a store path refers to. Those that its links name are among them, as in
    /// the graphs of Nix, which finds references by their names in files.
    fn references(&self, number: usize, count: usize) -> impl Iterator<Item = usize> {
        let StorePath { references, files } = &self.paths[number];
        let linked = files.iter().take(FILES_MAX).filter_map(|(_, file)| match file {
            File::Regular => None,
            File::Link(other, _) | File::FolderLink(other, _) => Some(other),
        });
        references.iter().take(6).chain(linked).map(move |byte| usize::from(*byte) % count)
    }

    /// The store paths that `roots` reach.
    fn reached(&self, roots: &[usize], count: usize) -> BTreeSet<usize> {
        let (mut reached, mut waiting) = (BTreeSet::new(), roots.to_vec());
        while let Some(number) = waiting.pop() {
            if reached.insert(number) {
                waiting.extend(self.references(number, count));
            }
        }
        reached
    }

    /// Creates the store; returns the content of each regular file, by store path and place.
    fn plant(
        &self,
        store: &Path,
        count: usize,
    ) -> io::Result<BTreeMap<usize, BTreeMap<&'static str, Vec<u8>>>> {
        let mut planted = BTreeMap::new();
        for (number, path) in self.paths.iter().take(count).enumerate() {
            let root = store.join(format!("{number}-name"));
            fs::create_dir_all(&root)?;
            let files: &mut BTreeMap<_, _> = planted.entry(number).or_default();
            for (place, file) in path.files.iter().take(FILES_MAX) {
                let place = PLACES[usize::from(*place) % PLACES.len()];
                let target = root.join(place);
                let parent = target.parent().unwrap_or(&root);
                // Something that is not a folder may be in the way, or the place be taken.
                if fs::create_dir_all(parent).is_err() || target.symlink_metadata().is_ok() {
                    continue;
                }
                // A parent that is a link leads elsewhere.
                if parent.canonicalize()?
                    != root.canonicalize()?.join(Path::new(place).parent().unwrap_or(Path::new("")))
                {
                    continue;
                }
                let link = |start: &str, other: u8, place: &str| {
                    let text = format!("{start}/{}-name/{place}", usize::from(other) % count);
                    std::os::unix::fs::symlink(text.trim_end_matches('/'), &target)
                };
                // Folders are followed on this host, where the store has another place.
                let relative = format!("..{}", "/..".repeat(place.matches('/').count()));
                match file {
                    File::Regular => {
                        let content = format!("{number} {place}").into_bytes();
                        fs::write(&target, &content)?;
                        files.insert(place, content);
                    }
                    File::Link(other, place) => {
                        link("/nix/store", *other, PLACES[usize::from(*place) % PLACES.len()])?;
                    }
                    File::FolderLink(other, place) => {
                        link(&relative, *other, FOLDERS[usize::from(*place) % FOLDERS.len()])?;
                    }
                }
            }
        }
        Ok(planted)
    }
}

/// Checks that the image has the store paths `expected`, each in one layer.
fn check_closure(verified: &Verified, expected: &BTreeSet<usize>) {
    let mut found = Vec::new();
    files::for_each_entry(&verified.image, |entry| {
        let name = entry.path.strip_prefix(b"nix/store/").filter(|name| !name.contains(&b'/'));
        found.extend(name.map(|name| String::from_utf8_lossy(name).into_owned()));
    })
    .expect("a verified image is read");
    found.sort();
    let expected: Vec<String> = expected.iter().map(|number| format!("{number}-name")).collect();
    assert_eq!(found, expected);
}
