//! A cache of the sizes and files of base layers, so that layers from registries are not downloaded
//! or read only to find out which files they have.
//!
//! An entry is made when a layer was read and its digests were correct. It is found by both of
//! them, and says nothing about the layer's bytes: these are checked when they are read.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;

use crate::archive::blob::LayerBlob;
use crate::archive::verify::VerifiedLayer;
use crate::files::cache_dir;
use crate::files::cache_file::{self, NewFile};
use crate::image::Digest;

/// The folder in the cache.
const FOLDER: &str = "base-layers";
/// The size limit of the folder in bytes. The entry of a layer with Debian takes half a MiB.
const FOLDER_MAX: u64 = 256 << 20;
/// The number of hexadecimal digits of the checksum before an entry.
const CHECKSUM: usize = 64;

/// The cache.
#[derive(Debug)]
pub(super) struct BaseLayerCache {
    folder: Option<PathBuf>,
}

impl BaseLayerCache {
    /// Opens the cache, which stays empty unless `cached` is true.
    pub(super) fn open(cached: bool) -> Self {
        Self { folder: if cached { cache_dir::folder(&[FOLDER]).ok() } else { None } }
    }

    /// The size and files of `layer`.
    pub(super) fn get(&self, layer: &LayerBlob) -> Option<VerifiedLayer> {
        let name = name(layer)?;
        let path = self.folder.as_ref()?.join(&name);
        let mut bytes = Vec::new();
        cache_file::open_used(&path)?.take(FOLDER_MAX).read_to_end(&mut bytes).ok()?;
        let found = decode(&name, &bytes);
        if found.is_none() {
            let _ = fs::remove_file(path);
        }
        found
    }

    /// Adds `layer`. If this fails, the layer is read again another time.
    pub(super) fn insert(&self, layer: &LayerBlob, verified: &VerifiedLayer) {
        let (Some(folder), Some(name)) = (&self.folder, name(layer)) else { return };
        let Ok(bytes) = postcard::to_allocvec(verified) else { return };
        let _ = NewFile::create(folder).and_then(|mut file| {
            file.write_all(checksum(&name, &bytes).as_bytes())?;
            file.write_all(&bytes)?;
            file.persist(&name)
        });
    }

    /// Removes the least recently used entries if there are too many.
    pub(super) fn prune(&self) {
        if let Some(folder) = &self.folder {
            cache_file::prune(folder, FOLDER_MAX);
        }
    }
}

/// The name of a layer's entry; `None` if its digest as stored is unknown. It depends on the
/// version of the program, which may write entries in another form.
fn name(layer: &LayerBlob) -> Option<String> {
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("{version} {} {}", layer.diff_id, layer.digest?);
    Some(Digest::of(text.as_bytes()).hex())
}

fn checksum(name: &str, bytes: &[u8]) -> String {
    Digest::of(&[name.as_bytes(), bytes].concat()).hex()
}

fn decode(name: &str, bytes: &[u8]) -> Option<VerifiedLayer> {
    let (expected, bytes) = bytes.split_at_checked(CHECKSUM)?;
    if expected != checksum(name, bytes).as_bytes() {
        return None;
    }
    postcard::from_bytes(bytes).ok()
}
