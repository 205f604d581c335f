//! The platforms of the images in a layout.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::documents::Documents;
use super::index::ListedImage;
use crate::archive::ArchiveError;
use crate::archive::json;
use crate::image::manifest::{Descriptor, OciManifest, OciPlatform};
use crate::image::{Digest, ImageConfig, schema};

/// The most bytes of a platform's names; longer ones mean nothing, and many of them take memory.
const TEXT_MAX: usize = 512;

/// Finds out the platforms of images.
pub(super) struct Platforms<'a> {
    documents: Documents<'a>,
    /// The configs of manifests that have been read and that the index lists without a platform.
    configs: BTreeMap<Digest, Descriptor<String>>,
    /// The platforms of configs that have been read.
    of_configs: BTreeMap<Digest, Option<OciPlatform>>,
}

impl<'a> Platforms<'a> {
    pub(super) fn new(documents: Documents<'a>) -> Self {
        Self { documents, configs: BTreeMap::new(), of_configs: BTreeMap::new() }
    }

    pub(super) fn documents(&self) -> Documents<'a> {
        self.documents
    }

    /// Remembers what `manifest`, that of `image`, has to do with its platform.
    pub(super) fn add(&mut self, image: &ListedImage, manifest: &OciManifest<String>) {
        if image.platform().is_none() {
            self.configs.insert(image.descriptor.digest, manifest.config.clone());
        }
    }

    /// The platform of an image, according to the index or else to its config. `None` if neither
    /// has it, or if the layout lacks the config or names it by a digest that is not supported.
    pub(super) fn get(&mut self, image: &ListedImage) -> Result<Option<OciPlatform>, ArchiveError> {
        if let Some(platform) = image.platform() {
            return Ok(Some(platform.clone()));
        }
        let digest = image.descriptor.digest;
        if !self.configs.contains_key(&digest) {
            match self.documents.listed_manifest(&image.descriptor)? {
                Some(manifest) => self.add(image, &manifest),
                None => return Ok(None),
            }
        }
        let Some(config) = self.configs.get(&digest) else { return Ok(None) };
        let Ok(digest) = config.digest.parse() else { return Ok(None) };
        if let Some(platform) = self.of_configs.get(&digest) {
            return Ok(platform.clone());
        }
        let config = config.clone().with_digest(digest);
        let platform = match self.documents.blob_if_present(&config)? {
            Some(bytes) => {
                let path = self.documents.path;
                let config: ImageConfig = json::parse(path, "the config", &bytes, schema::CONFIG)?;
                Some(OciPlatform::from(&config))
                    .filter(|platform| platform.text_length() < TEXT_MAX)
            }
            None => None,
        };
        self.of_configs.insert(digest, platform.clone());
        Ok(platform)
    }

    /// The platforms of those of `images` that have a name of `selected`, or like it none, as far
    /// as they can be read: other images may be damaged.
    pub(super) fn of_others(
        &mut self,
        images: &[ListedImage],
        selected: &ListedImage,
    ) -> Vec<OciPlatform> {
        let names: BTreeSet<&Rc<str>> = selected.names.iter().collect();
        let has_name = |other: &ListedImage| match other.names.is_empty() {
            true => names.is_empty(),
            false => other.names.iter().any(|name| names.contains(name)),
        };
        let mut platform = |image: &ListedImage| self.get(image).ok().flatten();
        let own = platform(selected);
        let mut others: Vec<OciPlatform> = Vec::new();
        for other in images.iter().filter(|other| has_name(other)) {
            let found = platform(other).filter(|found| Some(found) != own.as_ref());
            others.extend(found.filter(|found| !others.contains(found)));
        }
        others
    }
}
