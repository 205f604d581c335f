//! Annotations of an image's manifest (OCI image-spec, `annotations.md`).

use std::collections::BTreeMap;

use crate::image::manifest::{BASE_DIGEST, BASE_NAME, IMAGE_NAME, REF_NAME};
use crate::image::{ContainerConfig, Digest, RemoteReference};
use crate::text;

/// The names that the specification defines begin with this.
const PREDEFINED: &str = "org.opencontainers.image.";

/// The base of an image, for annotations.
pub(in crate::build) struct AnnotatedBase {
    /// Its name, with a tag or digest.
    pub(in crate::build) reference: Option<String>,
    /// The digest of its manifest.
    pub(in crate::build) manifest: Option<Digest>,
}

/// The annotations that a recipe asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The annotations that it lists; `None` if it has no such table.
    pub listed: Option<BTreeMap<String, String>>,
    /// Whether labels whose names begin with `org.opencontainers.image.` become annotations.
    pub from_labels: bool,
}

impl Annotations {
    /// Checks the keys of a recipe.
    pub(super) fn new(
        listed: Option<BTreeMap<String, String>>,
        from_labels: Option<bool>,
    ) -> Result<Self, String> {
        for name in listed.iter().flat_map(BTreeMap::keys) {
            if name.is_empty() {
                return Err("annotations has an empty name".to_owned());
            }
            if name == REF_NAME || name == IMAGE_NAME {
                let name = text::quote(name);
                return Err(format!("annotations has {name}, which follows from name and tag"));
            }
        }
        Ok(Self { listed, from_labels: from_labels.unwrap_or(false) })
    }

    /// Whether the recipe asks for annotations: its own, or those that follow from labels.
    pub fn are_wanted(&self) -> bool {
        self.listed.is_some() || self.from_labels
    }

    /// The annotations of an image with this base and config. If the recipe asks for any, they name
    /// the base.
    pub(in crate::build) fn of_image(
        &self,
        base: Option<&AnnotatedBase>,
        config: &ContainerConfig,
    ) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::new();
        if self.are_wanted() {
            annotations.extend(of_base(base));
        }
        if self.from_labels {
            annotations.extend(of_labels(config));
        }
        annotations.extend(self.listed.clone().unwrap_or_default());
        annotations
    }
}

fn of_base(base: Option<&AnnotatedBase>) -> impl Iterator<Item = (String, String)> {
    // As a reference in a registry, a name has its registry.
    let name = base.and_then(|base| base.reference.as_ref()?.parse::<RemoteReference>().ok());
    let name = name.map(|name| (BASE_NAME.to_owned(), name.to_string()));
    let digest = base.and_then(|base| base.manifest);
    let digest = digest.map(|digest| (BASE_DIGEST.to_owned(), digest.to_string()));
    name.into_iter().chain(digest)
}

fn of_labels(config: &ContainerConfig) -> impl Iterator<Item = (String, String)> {
    let labels = config.labels.iter().flatten();
    let predefined = labels.filter(|(name, _)| {
        // An inherited label may describe the base of the base.
        name.starts_with(PREDEFINED) && !matches!(name.as_str(), BASE_NAME | BASE_DIGEST | REF_NAME)
    });
    predefined.map(|(name, value)| (name.clone(), value.clone()))
}
