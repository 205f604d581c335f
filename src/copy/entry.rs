//! The names under which the index of a layout lists a copied image.

use std::collections::BTreeMap;

use crate::image::Reference;
use crate::image::manifest::{IMAGE_NAME, REF_NAME};

/// The annotations of the entry for the image called `name`: a tag, or name and tag.
pub(super) fn annotations(name: &str) -> Option<BTreeMap<String, String>> {
    let mut annotations = BTreeMap::from([(REF_NAME.to_owned(), name.to_owned())]);
    // containerd names images by the second annotation, which must not be a tag alone.
    if let Some(reference) = full_reference(name) {
        annotations.insert(IMAGE_NAME.to_owned(), reference.normalized());
    }
    Some(annotations)
}

/// The reference in `name`, unless it is only a tag.
pub(super) fn full_reference(name: &str) -> Option<Reference> {
    let text = match name.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => name.to_owned(),
        _ if name.contains('/') => format!("{name}:latest"),
        _ => return None,
    };
    text.parse().ok()
}
