//! A tree of files that is built into an image and read back by the project's own reader.
//!
//! Invariant: a tree that a Linux filesystem holds can be built, unless a name marks a removal;
//! the image has exactly its files, with their kinds, modes, owners, times, targets and contents;
//! other threads give the same bytes, and another format the same image ID.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seatrial::archive::entry::path_order;
use seatrial::archive::files;
use seatrial::archive::tar::{MemberKind, SpecialKind};
use seatrial::archive::tree::Tree;
use seatrial_fuzz::reading::Verified;
use seatrial_fuzz::tree::{Built, Found, Input};

fuzz_target!(|input: Input| {
    let Some(Built { verified, expected, owner, mtime, .. }) = input.built() else { return };
    let Verified { image, layers } = verified;
    let mut paths: Vec<Vec<u8>> = Vec::new();
    files::for_each_entry(&image, |found| {
        let path = found.path.to_vec();
        let entry = &expected[&path];
        let member = found.member;
        let (kind, size, link) = match &entry.found {
            Found::Folder => (MemberKind::Directory, 0, &[][..]),
            Found::File(content) => (MemberKind::File, content.len(), &[][..]),
            Found::Symlink(target) => (MemberKind::Symlink, 0, &target[..]),
            Found::Pipe => (MemberKind::Special(SpecialKind::Fifo), 0, &[][..]),
        };
        assert_eq!((member.kind, member.size, &member.link[..]), (kind, size as u64, link));
        assert_eq!((member.mode, member.mtime), (entry.mode, mtime));
        assert_eq!((member.uid, member.gid), owner);
        paths.push(path);
    })
    .expect("a verified image is read");
    assert!(paths.is_sorted_by(|a, b| path_order(a, b).is_lt()), "not in order: {paths:?}");
    assert_eq!(paths.len(), expected.len(), "expected {expected:?}, found {paths:?}");
    let tree = Tree::from_layers(layers.into_iter().map(|layer| layer.tree));
    let texts: Vec<&str> = paths.iter().filter_map(|path| std::str::from_utf8(path).ok()).collect();
    let found = files::find(&image, &tree, &texts).expect("a verified image is read");
    for text in texts {
        let content = found[text].content.as_ref();
        match &expected[text.as_bytes()].found {
            Found::File(expected) => assert!(content == Some(expected), "the content of {text:?}"),
            _ => assert_eq!(content, None, "{text:?}"),
        }
    }
});
