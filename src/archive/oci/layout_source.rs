//! An OCI layout as a source of images that are copied byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::artifact::is_artifact_descriptor;
use super::documents::{Documents, is_manifest};
use super::index::name_of;
use super::layout::blob_name;
use super::select::has_name;
use super::tree::BlobSource;
use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::archive::image::ImageSelector;
use crate::archive::image_files::ImageFiles;
use crate::archive::write::write_failed;
use crate::image::Digest;
use crate::image::manifest::{Descriptor, IMAGE_NAME, OciIndex, REF_NAME, media_type};
use crate::text;

/// An OCI layout.
#[derive(Debug)]
pub(crate) struct LayoutSource {
    path: PathBuf,
    files: Arc<ImageFiles>,
    /// Indexes that the layout does not have, but that stand for several of its entries.
    made: BTreeMap<Digest, Vec<u8>>,
}

impl LayoutSource {
    pub(crate) fn new(path: &Path, files: ImageFiles) -> Self {
        Self { path: path.to_owned(), files: Arc::new(files), made: BTreeMap::new() }
    }

    fn documents(&self) -> Documents<'_> {
        Documents { path: &self.path, files: &self.files }
    }

    /// The image that is listed as `name`, or the only one. Images for several platforms that are
    /// listed one by one get an index.
    ///
    /// # Errors
    /// If there is no such image, or several.
    pub(crate) fn root(&mut self, name: Option<&str>) -> Result<Descriptor, ArchiveError> {
        let all = self.documents().root_index()?.manifests;
        let images: Vec<Descriptor> = all
            .into_iter()
            .filter(|entry| !is_artifact_descriptor(entry, name_of(entry)))
            .collect();
        let selector = name.map(|name| ImageSelector::default().named(name)).unwrap_or_default();
        let matches = |entry: &&Descriptor| {
            let own = name_of(entry).map(Into::into);
            has_name(own.iter(), &selector) || name.is_some() && name_of(entry) == name
        };
        let mut digests = BTreeSet::new();
        let mut found: Vec<Descriptor> = images.iter().filter(matches).cloned().collect();
        found.retain(|entry| digests.insert(entry.digest));
        let names = text::list(images.iter().map(|entry| name_of(entry).unwrap_or("unnamed")));
        match (found.pop(), found.len(), name) {
            (Some(only), 0, _) => Ok(only),
            (None, _, Some(name)) => {
                let name = text::quote(name);
                let problem = format!("no image is named {name}; the layout has {names}");
                Err(self.documents().invalid(problem))
            }
            (None, ..) => Err(self.documents().invalid("index.json lists no image")),
            (last, ..) => {
                found.extend(last);
                self.index_of(found, &names)
            }
        }
    }

    /// An index of `images`, if they are for different platforms.
    fn index_of(
        &mut self,
        images: Vec<Descriptor>,
        names: &str,
    ) -> Result<Descriptor, ArchiveError> {
        let platforms = images.iter().filter_map(|entry| entry.platform.as_ref());
        let platforms: BTreeSet<String> = platforms.map(ToString::to_string).collect();
        let mut own = images.iter().map(name_of);
        let first = own.next().flatten();
        let same_name = own.all(|name| name == first);
        let only_images = images.iter().all(|entry| is_manifest(&entry.media_type));
        if platforms.len() < images.len() || !same_name || !only_images {
            let problem = format!(
                "there are {} images; select one by its tag, as in oci:FOLDER:TAG: {names}",
                images.len()
            );
            return Err(self.documents().invalid(problem));
        }
        let annotations = images.first().and_then(|image| image.annotations.clone());
        let unnamed = images.into_iter().map(without_names);
        let index = OciIndex::new(unnamed.collect(), BTreeMap::new());
        let bytes = serde_json::to_vec(&index).map_err(|error| write_failed(error.into()))?;
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.made.insert(digest, bytes);
        Ok(Descriptor { annotations, ..Descriptor::new(media_type::INDEX, digest, size) })
    }
}

/// `image` without the names by which only a layout's own index lists it (OCI image-spec,
/// `annotations.md`).
fn without_names(mut image: Descriptor) -> Descriptor {
    if let Some(annotations) = &mut image.annotations {
        annotations.retain(|key, _| ![REF_NAME, IMAGE_NAME].contains(&key.as_str()));
    }
    let annotations = image.annotations.take().filter(|annotations| !annotations.is_empty());
    Descriptor { annotations, ..image }
}

impl BlobSource for LayoutSource {
    type Error = ArchiveError;

    fn document(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, ArchiveError> {
        match self.made.get(&descriptor.digest) {
            Some(made) => Ok(Some(made.clone())),
            None => self.documents().blob_if_present(descriptor),
        }
    }

    /// A blob, which is opened again when it is read: layouts can have more blobs than a process
    /// may open files.
    fn blob(&self, descriptor: &Descriptor) -> Result<Option<FileSlice>, ArchiveError> {
        let (name, size) = (blob_name(descriptor.digest), descriptor.size);
        let read = ArchiveError::read(self.path.join(&name));
        let Some(blob) = self.files.get(&name).map_err(read)? else { return Ok(None) };
        self.documents().check_size(&name, blob.len(), size)?;
        let files = Arc::clone(&self.files);
        let open = move || {
            let blob = files.get(&name)?.filter(|blob| blob.len() == size);
            blob.ok_or_else(|| io::Error::other(format!("{name} changed while it was read")))
        };
        Ok(Some(FileSlice::deferred(size, open)))
    }
}
