//! Repositories that are known to have a blob, so that registries can be asked to take blobs from
//! there. Only saves time: if a record is wrong, the blob is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::files::cache_dir;
use crate::files::cache_file::{self, NewFile};
use crate::image::{Digest, RemoteReference};

/// The folder of records in the cache.
const FOLDER: &str = "registry-repositories";
/// The most repositories in the record of one blob.
const REPOSITORIES_MAX: usize = 8;
/// The size limit of all records in bytes.
const SIZE_MAX: u64 = 2 << 20;

/// The repositories by the blobs that they have: those of this process, and those in the cache.
#[derive(Debug)]
pub(super) struct KnownRepositories {
    uses_cache: bool,
    /// Registries with repositories, only for this process.
    listed: Mutex<BTreeMap<Digest, BTreeSet<(String, String)>>>,
}

impl KnownRepositories {
    pub(super) fn new(uses_cache: bool) -> Self {
        Self { uses_cache, listed: Mutex::default() }
    }

    /// Notes for this process that an image in the repository of `reference` lists the blob
    /// `digest`. Whether the repository has it is known when it is read.
    pub(super) fn list(&self, reference: &RemoteReference, digest: Digest) {
        let repository = (reference.registry().to_owned(), reference.repository().to_owned());
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.entry(digest).or_default().insert(repository);
    }

    /// The repositories of `registry` other than `repository` that had the blob `digest`, or list
    /// it.
    pub(super) fn others(&self, registry: &str, repository: &str, digest: Digest) -> Vec<String> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = listed.get(&digest).into_iter().flatten();
        let listed = listed.filter(|(host, _)| host == registry).map(|(_, name)| name.clone());
        let mut names: Vec<String> = listed.collect();
        let content = self.path(digest).and_then(|path| fs::read_to_string(path).ok());
        let content = content.unwrap_or_default();
        let lines = content.lines().filter_map(|line| line.split_once('/'));
        for (_, name) in lines.filter(|(host, _)| *host == registry) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names.retain(|name| name != repository);
        names
    }

    /// Records in the cache that the repository has the blob `digest`.
    pub(super) fn add(&self, registry: &str, repository: &str, digest: Digest) {
        let Some(path) = self.path(digest) else { return };
        let content = fs::read_to_string(&path).unwrap_or_default();
        let line = format!("{registry}/{repository}");
        if content.lines().next() == Some(&line) {
            return;
        }
        let others = content.lines().filter(|other| *other != line).take(REPOSITORIES_MAX - 1);
        let content: Vec<&str> = std::iter::once(line.as_str()).chain(others).collect();
        let Some(folder) = path.parent() else { return };
        // If this fails, the blob is sent instead of being mounted.
        let _ = NewFile::create(folder).and_then(|mut file| {
            file.write_all((content.join("\n") + "\n").as_bytes())?;
            file.persist(&digest.hex())
        });
    }

    /// The record of the blob `digest`; `None` without a cache.
    fn path(&self, digest: Digest) -> Option<PathBuf> {
        let folder = self.uses_cache.then(|| cache_dir::folder(&[FOLDER]).ok())??;
        Some(folder.join(digest.hex()))
    }

    /// Removes the oldest records if there are too many.
    pub(super) fn prune(&self) {
        if !self.uses_cache {
            return;
        }
        if let Ok(folder) = cache_dir::folder(&[FOLDER]) {
            cache_file::prune(&folder, SIZE_MAX);
        }
    }
}
