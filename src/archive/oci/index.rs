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
/// The most bytes that the name of an image may have. References have at most 384.
const NAME_MAX: usize = 512;

/// An image in a layout.
#[derive(Clone, Debug)]
pub(super) struct ListedImage {
    /// The descriptor, without annotations.
    pub(super) descriptor: Descriptor,
    /// The names by which it is listed.
    pub(super) names: Vec<Rc<str>>,
}

impl ListedImage {
    /// The platform according to the index.
    pub(super) fn platform(&self) -> Option<&OciPlatform> {
        self.descriptor.platform.as_ref().filter(|platform| !platform.architecture.is_empty())
    }
}

/// An image that another algorithm than SHA-256 identifies.
#[derive(Clone, Debug)]
pub(super) struct UnsupportedImage {
    /// Its digest as written.
    pub(super) digest: Rc<str>,
    /// The platform according to the index.
    pub(super) platform: Option<OciPlatform>,
    /// The name by which it is listed.
    pub(super) name: Option<Rc<str>>,
}

/// The images of a layout, in the order in which they are listed, each digest once.
#[derive(Debug, Default)]
pub(super) struct ListedImages {
    pub(super) images: Vec<ListedImage>,
    /// The number of signatures, attestations and other artifacts.
    pub(super) artifacts: usize,
    /// The images whose digests are not supported.
    pub(super) unsupported: Vec<UnsupportedImage>,
    by_digest: BTreeMap<Digest, usize>,
    names: BTreeSet<(usize, Rc<str>)>,
}

impl ListedImages {
    /// Lists the images of `index` and of the indexes in it.
    pub(super) fn read(documents: Documents<'_>, index: OciIndex) -> Result<Self, ArchiveError> {
        let mut walk =
            Walk { documents, found: Self::default(), indexes: BTreeMap::new(), left: ENTRIES_MAX };
        let entries = walk.entries(index)?;
        walk.visit(&entries, None, DEPTH_MAX)?;
        Ok(walk.found)
    }

    fn add(&mut self, descriptor: &Descriptor, name: Option<&Rc<str>>) {
        let index = *self.by_digest.entry(descriptor.digest).or_insert_with(|| {
            self.images.push(ListedImage { descriptor: descriptor.clone(), names: Vec::new() });
            self.images.len() - 1
        });
        let Some((image, name)) = self.images.get_mut(index).zip(name) else { return };
        if self.names.insert((index, Rc::clone(name))) {
            image.names.push(Rc::clone(name));
        }
    }
}

/// An entry of an index, without what does not matter here: annotations can be large.
#[derive(Debug)]
struct Entry {
    descriptor: Descriptor,
    name: Option<Rc<str>>,
    kind: EntryKind,
}

#[derive(Clone, Debug)]
enum EntryKind {
    /// An image, or an index of images.
    Image,
    Artifact,
    /// An image or an index with this digest of another algorithm. The digest in the descriptor
    /// has no meaning.
    Unsupported(Rc<str>),
}

struct Walk<'a> {
    documents: Documents<'a>,
    found: ListedImages,
    /// The entries of nested indexes that have been read.
    indexes: BTreeMap<Digest, Rc<[Entry]>>,
    /// The number of entries that may still be visited.
    left: usize,
}

impl Walk<'_> {
    /// Visits the entries of an index. The name of an index applies to the images that it lists.
    fn visit(
        &mut self,
        entries: &[Entry],
        name: Option<&Rc<str>>,
        depth: usize,
    ) -> Result<(), ArchiveError> {
        self.take(entries.len())?;
        for Entry { descriptor, name: own_name, kind } in entries {
            let name = own_name.as_ref().or(name);
            if let EntryKind::Artifact = kind {
                self.found.artifacts += 1;
            } else if let EntryKind::Unsupported(digest) = kind {
                let (digest, platform) = (Rc::clone(digest), descriptor.platform.clone());
                let name = name.cloned();
                self.found.unsupported.push(UnsupportedImage { digest, platform, name });
            } else if is_manifest(&descriptor.media_type) {
                self.found.add(descriptor, name);
            } else if depth == 0 {
                let problem = format!("it has more than {DEPTH_MAX} levels of nested indexes");
                return Err(self.documents.invalid(problem));
            } else {
                let nested = self.nested(descriptor)?;
                self.visit(&nested, name, depth - 1)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, entries: usize) -> Result<(), ArchiveError> {
        let left = self.left.checked_sub(entries);
        self.left = left.ok_or_else(|| {
            self.documents.invalid(format!("its indexes list more than {ENTRIES_MAX} images"))
        })?;
        Ok(())
    }

    /// The entries of a nested index; none if the layout lacks it, or if it lists artifacts.
    fn nested(&mut self, descriptor: &Descriptor) -> Result<Rc<[Entry]>, ArchiveError> {
        if let Some(entries) = self.indexes.get(&descriptor.digest) {
            return Ok(Rc::clone(entries));
        }
        let entries: Rc<[Entry]> = match self.documents.nested_index(descriptor)? {
            Some(index) if is_artifact_type(index.artifact_type.as_deref()) => {
                self.found.artifacts += 1;
                Rc::default()
            }
            Some(index) => self.entries(index)?.into(),
            None => Rc::default(),
        };
        self.indexes.insert(descriptor.digest, Rc::clone(&entries));
        Ok(entries)
    }

    fn entries(&self, index: OciIndex) -> Result<Vec<Entry>, ArchiveError> {
        let supported =
            index.manifests.into_iter().map(|descriptor| self.entry(descriptor, EntryKind::Image));
        let unsupported = index.unsupported.into_iter().map(|descriptor| {
            let kind = EntryKind::Unsupported(descriptor.digest.as_str().into());
            self.entry(descriptor.with_digest(Digest::of(&[])), kind)
        });
        supported.chain(unsupported).collect()
    }

    fn entry(&self, mut descriptor: Descriptor, kind: EntryKind) -> Result<Entry, ArchiveError> {
        let name = name_of(&descriptor);
        let platform = descriptor.platform.as_ref();
        let name_length = name.map_or(0, str::len);
        let length = name_length.max(platform.map_or(0, OciPlatform::text_length));
        if length > NAME_MAX {
            let problem = format!("an index has a name or platform of {length} bytes");
            return Err(self.documents.invalid(problem));
        }
        let media_type = descriptor.media_type.as_str();
        let is_artifact = is_artifact_descriptor(&descriptor, name)
            || !(is_manifest(media_type) || is_index(media_type));
        let name = name.map(Rc::from);
        descriptor.annotations = None;
        if is_artifact {
            (descriptor.media_type, descriptor.artifact_type) = (String::new(), None);
        }
        let kind = if is_artifact { EntryKind::Artifact } else { kind };
        Ok(Entry { descriptor, name, kind })
    }
}

/// The name of an entry of `index.json`.
pub(crate) fn name_of(descriptor: &Descriptor) -> Option<&str> {
    let annotations = descriptor.annotations.as_ref()?;
    let name = annotations.get(IMAGE_NAME).or_else(|| annotations.get(REF_NAME))?;
    Some(familiar(name)).filter(|name| !name.is_empty())
}
