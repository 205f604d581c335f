//! What is known of layers from builds before: the diff id of a layer that looks as it did, and its compressed bytes.
//!
//! It only saves time: whatever fails here, a build goes on without, and gives the same bytes. Any number of processes
//! may use it at once, since its files appear whole or not at all.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::archive::Compression;
use crate::archive::blob_cache::BlobCache;
use crate::archive::layer::Fingerprint;
use crate::archive::pipeline::{CachedLayer, LayerCache};
use crate::image::{DiffId, Digest};

/// How what is known from before is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// What is known is taken for true, and what is found out is kept.
    #[default]
    On,
    /// Everything is found out anew, and kept.
    Verify,
    /// It is neither looked at nor written to.
    Off,
}

/// What is known.
#[derive(Debug)]
pub(super) struct Cache {
    digests: PathBuf,
    blobs: Option<BlobCache>,
    verify: bool,
}

/// How many layers are remembered; each takes a file of one block.
const LAYERS: usize = 20_000;
/// How much room compressed layers may take, in MiB, and the variable that says otherwise.
const BLOBS_MIB: u64 = 4096;
const VARIABLE: &str = "SEATRIAL_CACHE_MIB";

impl Cache {
    /// What is known, for a build that compresses layers by `compression`.
    pub(super) fn open(using: CacheUse, compression: Compression) -> Option<Self> {
        if using == CacheUse::Off {
            return None;
        }
        let cache = crate::cache_dir::path();
        let digests = cache.join("layers");
        fs::create_dir_all(&digests).ok()?;
        let asked = std::env::var(VARIABLE).ok().and_then(|text| text.parse::<u64>().ok());
        let limit = asked.unwrap_or(BLOBS_MIB) << 20;
        let blobs = BlobCache::open(&cache.join("blobs"), compression, limit);
        Some(Self { digests, blobs, verify: using == CacheUse::Verify })
    }

    /// Where compressed layers are kept.
    pub(super) fn blobs(&self) -> Option<&BlobCache> {
        self.blobs.as_ref()
    }

    /// Forgets what has not been used for longest, where there is too much.
    pub(super) fn prune(&self) {
        self.blobs.iter().for_each(BlobCache::prune);
        let files: Vec<_> = fs::read_dir(&self.digests).into_iter().flatten().flatten().collect();
        if files.len() <= LAYERS {
            return;
        }
        let age =
            |file: &fs::DirEntry| file.metadata().and_then(|metadata| metadata.modified()).ok();
        let mut files: Vec<_> = files.iter().map(|file| (age(file), file.path())).collect();
        files.sort();
        files
            .iter()
            .take(files.len() - LAYERS / 2)
            .for_each(|(_, path)| drop(fs::remove_file(path)));
    }
}

/// What a file says: the diff id, and a digest of that and of the file's name, so that damage is seen.
fn line(key: &Digest, diff_id: DiffId) -> String {
    format!("{diff_id} {}\n", Digest::of(format!("{key} {diff_id}").as_bytes()).hex())
}

/// The name of what is known of a layer that looks so. Other versions of the program may write other bytes for it.
fn key(fingerprint: &Fingerprint) -> Digest {
    Digest::of(format!("{} {}", env!("CARGO_PKG_VERSION"), fingerprint.digest).as_bytes())
}

impl LayerCache for Cache {
    fn get(&self, fingerprint: &Fingerprint) -> Option<CachedLayer> {
        if self.verify {
            return None;
        }
        let key = key(fingerprint);
        let path = self.digests.join(key.hex());
        let said = fs::read_to_string(&path).ok()?;
        let diff_id = said.split(' ').next().and_then(|text| text.parse().ok()).map(DiffId);
        let Some(diff_id) = diff_id.filter(|diff_id| line(&key, *diff_id) == said) else {
            let _ = fs::remove_file(path);
            return None;
        };
        let blob = self.blobs.as_ref().and_then(|blobs| blobs.get(diff_id));
        Some(CachedLayer { diff_id, blob })
    }

    fn insert(&self, fingerprint: &Fingerprint, diff_id: DiffId) {
        if !fingerprint.stable {
            return;
        }
        let key = key(fingerprint);
        let kept = tempfile::NamedTempFile::new_in(&self.digests).and_then(|mut file| {
            file.write_all(line(&key, diff_id).as_bytes())?;
            file.persist(self.digests.join(key.hex())).map_err(|error| error.error)
        });
        // Without it the next build takes longer, that is all.
        drop(kept);
    }
}
