//! The layer cache on disk: diff IDs of layers by fingerprint, and compressed layers.
//!
//! The cache only saves time. If it fails, the build goes on without it, and the output is the
//! same. Any number of processes may use it at once, because files appear complete or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::archive::Compression;
use crate::archive::blob_cache::BlobCache;
use crate::archive::layer::Fingerprint;
use crate::archive::pipeline::{CachedLayer, LayerCache};
use crate::files::cache_dir;
use crate::files::cache_file::{self, NewFile};
use crate::image::{DiffId, Digest};
use crate::text::errors;

/// How a build uses the layer cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// Read and write it.
    #[default]
    On,
    /// Ignore cached digests: read and hash everything again, and write the result.
    Verify,
    /// Read and write it, but run steps again, and write their layers.
    RefreshSteps,
    /// Do not read or write it.
    Off,
}

/// The layer cache in the user's cache folder.
#[derive(Debug)]
pub(super) struct DiskCache {
    /// The folder with diff IDs, or `None` without a cache.
    diff_ids: Option<PathBuf>,
    /// Compressed layers.
    blobs: Option<BlobCache>,
    ignore_cached: bool,
    using: CacheUse,
}

/// The folder of diff IDs in the cache.
const DIFF_IDS: &str = "layers";
/// The folder of compressed layers in the cache, with one for each kind of compression.
const BLOBS: &str = "blobs";
/// The maximum number of cached diff IDs; each takes a file of one block.
const MAX_DIFF_IDS: usize = 20_000;

/// The reason for which builds do not use the layer cache, if it is one that the user should know:
/// another user can write to its folder.
pub fn cache_problem() -> Option<String> {
    let error = [&[DIFF_IDS], &[BLOBS]].iter().find_map(|parts| cache_dir::folder(*parts).err());
    error.filter(|error| error.is_unsafe).map(|error| errors::chain(&error))
}

impl DiskCache {
    /// Opens the cache for a build whose layers are compressed by `compression`.
    pub(super) fn open(using: CacheUse, compression: Compression) -> Self {
        let folder = |parts: &[&str]| cache_dir::folder(parts).ok();
        let diff_ids = if using == CacheUse::Off { None } else { folder(&[DIFF_IDS]) };
        if diff_ids.is_none() {
            return Self { diff_ids, blobs: None, ignore_cached: true, using };
        }
        let blobs = compression.cache_key().and_then(|key| folder(&[BLOBS, &key]));
        let blobs = blobs.map(|folder| BlobCache::new(folder, cache_dir::blobs_limit()));
        Self { diff_ids, blobs, ignore_cached: using == CacheUse::Verify, using }
    }

    /// How it is used.
    pub(super) fn using(&self) -> CacheUse {
        self.using
    }

    /// The compressed layers.
    pub(super) fn blobs(&self) -> Option<&BlobCache> {
        self.blobs.as_ref()
    }

    /// Removes the least recently used entries if the cache exceeds its limits.
    pub(super) fn prune(&self) {
        self.blobs.iter().for_each(BlobCache::prune);
        let files = self.diff_ids.as_deref().map(cache_file::sweep).unwrap_or_default();
        if files.len() <= MAX_DIFF_IDS {
            return;
        }
        let entries = files.iter().filter_map(|file| {
            let used = file.metadata().ok()?.modified().ok()?;
            Some((used, 1, file.path()))
        });
        let limit = MAX_DIFF_IDS as u64 / 2;
        cache_file::remove_oldest(entries.collect(), limit, cache_file::remove_file);
    }
}

/// The text of an entry: the diff ID, and a checksum over it and the entry's name.
fn entry_text(key: &Digest, diff_id: DiffId) -> String {
    format!("{diff_id} {}\n", Digest::of(format!("{key} {diff_id}").as_bytes()).hex())
}

/// The name of the entry for a fingerprint. It depends on the version of the program, which may
/// write other bytes for the same layer.
fn key(fingerprint: &Fingerprint) -> Digest {
    Digest::of(format!("{} {}", env!("CARGO_PKG_VERSION"), fingerprint.digest).as_bytes())
}

impl LayerCache for DiskCache {
    fn get(&self, fingerprint: &Fingerprint) -> Option<CachedLayer> {
        if self.ignore_cached || !fingerprint.stable {
            return None;
        }
        let key = key(fingerprint);
        let path = self.diff_ids.as_ref()?.join(key.hex());
        let text = io::read_to_string(cache_file::open_used(&path)?).ok()?;
        let diff_id = text.split(' ').next().and_then(|text| text.parse().ok()).map(DiffId);
        let Some(diff_id) = diff_id.filter(|diff_id| entry_text(&key, *diff_id) == text) else {
            let _ = fs::remove_file(path);
            return None;
        };
        let blob = self.blobs.as_ref().and_then(|blobs| blobs.get(diff_id));
        Some(CachedLayer { diff_id, blob })
    }

    fn insert(&self, fingerprint: &Fingerprint, diff_id: DiffId) {
        let Some(folder) = self.diff_ids.as_ref().filter(|_| fingerprint.stable) else {
            return;
        };
        let key = key(fingerprint);
        let written = NewFile::create(folder).and_then(|mut file| {
            file.write_all(entry_text(&key, diff_id).as_bytes())?;
            file.persist(&key.hex())
        });
        // If this fails, the next build takes longer; nothing else changes.
        drop(written);
    }
}
