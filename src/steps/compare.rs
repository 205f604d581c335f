//! Compares the layers of two runs of a step.

use std::collections::BTreeMap;
use std::io;

use super::StepError;
use super::runner::StepLayer;
use crate::archive::ArchiveError;
use crate::archive::entry::display_path;
use crate::archive::tar::TarReader;
use crate::image::Digest;
use crate::image::digest::Hasher;

/// The paths that differ between two layers, sorted.
pub(super) fn differing_paths(
    first: &StepLayer,
    second: &StepLayer,
) -> Result<Vec<String>, StepError> {
    let read = |layer| files(layer).map_err(ArchiveError::temporary_file);
    let (first, second) = (read(first)?, read(second)?);
    let paths = first.keys().chain(second.keys());
    let mut paths: Vec<&Vec<u8>> =
        paths.filter(|path| first.get(*path) != second.get(*path)).collect();
    paths.sort();
    paths.dedup();
    Ok(paths.into_iter().map(|path| display_path(path)).collect())
}

/// The digest of each entry: metadata and content.
fn files(layer: &StepLayer) -> io::Result<BTreeMap<Vec<u8>, Digest>> {
    let mut reader = TarReader::new(layer.bytes.clone());
    let mut files = BTreeMap::new();
    while let Some(member) = reader.next_member()? {
        let mut hasher = Hasher::default();
        hasher.update(format!("{member:?}").as_bytes());
        hasher.update_from(&mut reader)?;
        let path = member.path.strip_suffix(b"/").unwrap_or(&member.path).to_vec();
        files.insert(path, hasher.finish());
    }
    Ok(files)
}
