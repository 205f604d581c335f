//! All blobs of a layout that its index leads to, for copying them byte for byte.

use std::collections::BTreeSet;
use std::path::Path;

use super::documents::{Documents, is_index, is_manifest};
use super::layout::blob_name;
use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::archive::image_files::ImageFiles;
use crate::image::Digest;
use crate::image::manifest::Descriptor;

/// The most blobs of one layout.
const BLOBS_MAX: usize = 100_000;

/// The contents of a layout.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The entries of `index.json`.
    pub(crate) roots: Vec<Descriptor>,
    /// The blobs that they lead to and that the layout has, each once and after those that it
    /// names. Their sizes are correct; their digests have not been checked.
    pub(crate) blobs: Vec<(Digest, FileSlice)>,
}

/// A step of visiting all blobs.
enum Step {
    /// Visit the blobs that this one names.
    Visit(Descriptor),
    /// Add this one, after those that it names.
    Add(Digest, FileSlice),
}

/// Reads the documents in the layout `files`.
pub(crate) fn read_layout(path: &Path, files: &ImageFiles) -> Result<Layout, ArchiveError> {
    let documents = Documents { path, files };
    let roots = documents.root_index()?.manifests;
    let (mut blobs, mut seen) = (Vec::new(), BTreeSet::new());
    // A stack instead of recursion: no digest is visited twice, so it ends.
    let mut todo: Vec<Step> = roots.iter().rev().cloned().map(Step::Visit).collect();
    while let Some(step) = todo.pop() {
        let descriptor = match step {
            Step::Add(digest, blob) => {
                blobs.push((digest, blob));
                continue;
            }
            Step::Visit(descriptor) => descriptor,
        };
        if !seen.insert(descriptor.digest) {
            continue;
        }
        if seen.len() > BLOBS_MAX {
            return Err(documents.invalid(format!("it has more than {BLOBS_MAX} blobs")));
        }
        let name = blob_name(descriptor.digest);
        let failed = |error| ArchiveError::read(path.join(&name))(error);
        let Some(blob) = files.get(&name).map_err(failed)? else { continue };
        documents.check_size(&name, blob.len(), descriptor.size)?;
        todo.push(Step::Add(descriptor.digest, blob));
        todo.extend(children(documents, &descriptor)?.into_iter().rev().map(Step::Visit));
    }
    Ok(Layout { roots, blobs })
}

/// The blobs that the document of `descriptor` names.
fn children(
    documents: Documents<'_>,
    descriptor: &Descriptor,
) -> Result<Vec<Descriptor>, ArchiveError> {
    if is_index(&descriptor.media_type) {
        return Ok(documents
            .nested_index(descriptor)?
            .map(|index| index.manifests)
            .unwrap_or_default());
    }
    if !is_manifest(&descriptor.media_type) {
        return Ok(Vec::new());
    }
    let manifest = documents.manifest_if_present(descriptor)?;
    let blobs = manifest.map(|manifest| [manifest.layers, vec![manifest.config]].concat());
    Ok(blobs.unwrap_or_default())
}
