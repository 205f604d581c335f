//! Repositories that are known to have a blob, so that registries can be asked to take blobs from
//! there. Only saves time: if a record is wrong, the blob is sent.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::cache_dir;
use crate::cache_file::{self, NewFile};
use crate::image::Digest;

/// The folder of records in the cache.
const FOLDER: &str = "registry-repositories";
/// The most repositories in the record of one blob.
const REPOSITORIES_MAX: usize = 8;
/// The size limit of all records in bytes.
const SIZE_MAX: u64 = 2 << 20;

fn path(digest: Digest) -> Option<PathBuf> {
    Some(cache_dir::folder(&[FOLDER]).ok()?.join(digest.hex()))
}

/// The repositories of `registry` other than `repository` that had the blob `digest`.
pub(super) fn others(registry: &str, repository: &str, digest: Digest) -> Vec<String> {
    let content = path(digest).and_then(|path| fs::read_to_string(path).ok());
    let content = content.unwrap_or_default();
    let in_registry = |line: &&str| line.split_once('/').is_some_and(|(host, _)| host == registry);
    let names = content.lines().filter(in_registry).filter_map(|line| line.split_once('/'));
    names.map(|(_, name)| name.to_owned()).filter(|name| name != repository).collect()
}

/// Records that the repository has the blob `digest`.
pub(super) fn add(registry: &str, repository: &str, digest: Digest) {
    let Some(path) = path(digest) else { return };
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

/// Removes the oldest records if there are too many.
pub(super) fn prune() {
    if let Ok(folder) = cache_dir::folder(&[FOLDER]) {
        cache_file::prune(&folder, SIZE_MAX);
    }
}
