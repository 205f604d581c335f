//! Forged OCI layouts, as a folder and as a tar: see `seatrial_fuzz::forge` for the input.
//!
//! Invariant: neither reading panics, both take bounded time and memory, and both accept the same
//! image or refuse it.
#![no_main]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use libfuzzer_sys::{Corpus, fuzz_target};
use seatrial_fuzz::forge::{self, Member};
use seatrial_fuzz::reading;

fuzz_target!(|data: &[u8]| -> Corpus {
    let members = forge::members(data);
    let Some(folder) = tempfile::tempdir().ok() else { return Corpus::Reject };
    // A tar without oci-layout, or with manifest.json, is not read as an OCI layout.
    let is_layout = members.iter().any(|member| member.name == b"oci-layout");
    if !is_layout || planted(&members, folder.path()).is_none() {
        return Corpus::Reject;
    }
    let from_folder = reading::verified(folder.path()).map(|verified| verified.image);
    let Some(file) = reading::file_with(&forge::tar(&members)) else { return Corpus::Reject };
    let from_tar = reading::verified(file.path()).map(|verified| verified.image);
    match (from_folder, from_tar) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.raw_config, other.raw_config);
            assert_eq!(one.references, other.references);
        }
        (Err(_), Err(_)) => {}
        (one, other) => panic!("folder and tar differ: {:?}, {:?}", one.err(), other.err()),
    }
    Corpus::Keep
});

/// Writes plain files below `folder`; `None` if a tar with these members means something else.
fn planted(members: &[Member], folder: &Path) -> Option<()> {
    let mut names = BTreeSet::new();
    for member in members {
        let name = std::str::from_utf8(&member.name).ok()?;
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        let usable = member.kind == b'0' && name.split('/').all(plain);
        if !usable || name == "manifest.json" || !names.insert(name) {
            return None;
        }
        let path = folder.join(name);
        fs::create_dir_all(path.parent()?).ok()?;
        fs::write(path, &member.stored).ok()?;
    }
    Some(())
}
