//! How layouts list images and layers: by names and media types.

use std::collections::BTreeMap;

use crate::archive::decompress::Codec;
use crate::image::Reference;
use crate::image::manifest::{Descriptor, IMAGE_NAME, REF_NAME, media_type};

/// `descriptor` as `index.json` lists it for one of its references. Readers find an image by the
/// annotation with its name, so it is listed once for each.
pub(crate) fn named(descriptor: &Descriptor, reference: &Reference) -> Descriptor {
    let annotations = BTreeMap::from([
        (REF_NAME.to_owned(), reference.tag.to_string()),
        (IMAGE_NAME.to_owned(), reference.normalized()),
    ]);
    Descriptor { annotations: Some(annotations), ..descriptor.clone() }
}

/// The media type of a layer with this compression.
pub(crate) fn layer_media_type(codec: Codec) -> String {
    match codec {
        Codec::Plain | Codec::Xz => media_type::LAYER.to_owned(),
        codec => format!("{}+{}", media_type::LAYER, codec.name()),
    }
}
