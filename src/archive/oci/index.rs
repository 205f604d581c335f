//! The images that the index of a layout lists, directly or in nested indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::artifact::{is_artifact_descriptor, is_artifact_type};
use super::documents::{Documents, is_index, is_manifest};
use crate::archive::ArchiveError;
use crate::image::Digest;
use crate::image::manifest::{Descriptor, IMAGE_NAME, OciIndex, OciPlatform, REF_NAME};
use crate::image::reference::familiar;

/// The most levels of nested indexes. Real layouts have two.
const DEPTH_MAX: usize = 4;
/// The most entries of all indexes together, each counted as often as it is listed. 4 MiB, the most
/// that `index.json` may have, hold about 15 000 entries.
const ENTRIES_MAX: usize = 50_000;

/// An image in a layout.
#[derive(Debug)]
pub(super) struct ListedImage {
    pub(super) descriptor: Descriptor,
    /// The names by which it is listed.
    pub(super) names: Vec<String>,
}

impl ListedImage {
    /// The platform according to the index.
    pub(super) fn platform(&self) -> Option<&OciPlatform> {
        self.descriptor.platform.as_ref().filter(|platform| !platform.architecture.is_empty())
    }
}

/// The images of a layout, in the order in which they are listed, each digest once.
#[derive(Debug, Default)]
pub(super) struct ListedImages {
    pub(super) images: Vec<ListedImage>,
    /// The number of signatures, attestations and other artifacts.
    pub(super) artifacts: usize,
    by_digest: BTreeMap<Digest, usize>,
    names: BTreeSet<(usize, String)>,
}

impl ListedImages {
    /// Lists the images of `index` and of the indexes in it.
    pub(super) fn read(documents: Documents<'_>, index: OciIndex) -> Result<Self, ArchiveError> {
        let mut walk =
            Walk { documents, found: Self::default(), indexes: BTreeMap::new(), left: ENTRIES_MAX };
        walk.visit(&index, None, DEPTH_MAX)?;
        Ok(walk.found)
    }

    fn add(&mut self, descriptor: &Descriptor, name: Option<&str>) {
        let index = *self.by_digest.entry(descriptor.digest).or_insert_with(|| {
            self.images.push(ListedImage { descriptor: descriptor.clone(), names: Vec::new() });
            self.images.len() - 1
        });
        let Some((image, name)) = self.images.get_mut(index).zip(name) else { return };
        if self.names.insert((index, name.to_owned())) {
            image.names.push(name.to_owned());
        }
    }
}

struct Walk<'a> {
    documents: Documents<'a>,
    found: ListedImages,
    /// Nested indexes that have been read; `None` for one that the layout lacks.
    indexes: BTreeMap<Digest, Option<Rc<OciIndex>>>,
    /// The number of entries that may still be visited.
    left: usize,
}

impl Walk<'_> {
    /// Visits the entries of `index`. The name of an index applies to the images that it lists.
    fn visit(
        &mut self,
        index: &OciIndex,
        name: Option<&str>,
        depth: usize,
    ) -> Result<(), ArchiveError> {
        let left = self.left.checked_sub(index.manifests.len());
        self.left = left.ok_or_else(|| {
            self.documents.invalid(format!("its indexes list more than {ENTRIES_MAX} images"))
        })?;
        for descriptor in &index.manifests {
            let own_name = name_of(descriptor);
            let name = own_name.or(name);
            if is_artifact_descriptor(descriptor, name) {
                self.found.artifacts += 1;
            } else if is_manifest(&descriptor.media_type) {
                self.found.add(descriptor, name);
            } else if is_index(&descriptor.media_type) {
                if depth == 0 {
                    let problem = format!("it has more than {DEPTH_MAX} levels of nested indexes");
                    return Err(self.documents.invalid(problem));
                }
                let Some(nested) = self.nested(descriptor)? else { continue };
                if is_artifact_type(nested.artifact_type.as_deref()) {
                    self.found.artifacts += 1;
                } else {
                    self.visit(&nested, name, depth - 1)?;
                }
            } else {
                self.found.artifacts += 1;
            }
        }
        Ok(())
    }

    fn nested(&mut self, descriptor: &Descriptor) -> Result<Option<Rc<OciIndex>>, ArchiveError> {
        if let Some(index) = self.indexes.get(&descriptor.digest) {
            return Ok(index.clone());
        }
        let index = self.documents.nested_index(descriptor)?.map(Rc::new);
        self.indexes.insert(descriptor.digest, index.clone());
        Ok(index)
    }
}

fn name_of(descriptor: &Descriptor) -> Option<&str> {
    let annotations = descriptor.annotations.as_ref()?;
    let name = annotations.get(IMAGE_NAME).or_else(|| annotations.get(REF_NAME))?;
    Some(familiar(name)).filter(|name| !name.is_empty())
}
