//! An image of a docker-archive with a manifest, so that it can be copied to where images have one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::named::layer_media_type;
use super::tree::{ImageTree, TreeBlob, TreeDocument};
use crate::archive::blob::{FileSlice, LayerBlob};
use crate::archive::decompress::Codec;
use crate::archive::image::Image;
use crate::archive::write::write_failed;
use crate::archive::{ArchiveError, verify};
use crate::image::Digest;
use crate::image::manifest::{Descriptor, OciManifest, OciPlatform, media_type};

/// Makes a manifest for `image`, after checking all digests on `threads` threads. Config and layers
/// stay the same, byte for byte.
///
/// # Errors
/// If the image is damaged, or a layer has a compression for which there is no media type.
pub(crate) fn made_tree(image: &Image, threads: usize) -> Result<ImageTree, ArchiveError> {
    let verified = verify::layers(image, threads)?;
    let (mut blobs, mut layers, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (layer, verified) in image.layers.iter().zip(verified) {
        if verified.codec == Codec::Xz {
            let problem = "a layer is compressed with xz, for which there is no media type; \
                           seatrial merge --format oci writes it uncompressed";
            return Err(ArchiveError::invalid(&image.path, problem));
        }
        let digest = digest_of(layer, verified.codec).map_err(ArchiveError::read(&image.path))?;
        let media_type = layer_media_type(verified.codec);
        let descriptor = Descriptor::new(media_type, digest, layer.bytes.len());
        layers.push(descriptor.clone());
        if seen.insert(digest) {
            blobs.push(TreeBlob { descriptor, bytes: layer.bytes.clone() });
        }
    }
    let bytes = FileSlice::of_bytes(&image.raw_config).map_err(ArchiveError::temporary_file)?;
    let (digest, size) = (image.id(), image.raw_config.len() as u64);
    let config = Descriptor::new(media_type::CONFIG, digest, size);
    blobs.push(TreeBlob { descriptor: config.clone(), bytes });
    let manifest = OciManifest::new(config, layers, BTreeMap::new());
    let bytes = serde_json::to_vec(&manifest).map_err(|error| write_failed(error.into()))?;
    let digest = Digest::of(&bytes);
    let mut root = Descriptor::new(media_type::MANIFEST, digest, bytes.len() as u64);
    root.platform = Some(OciPlatform::from(&image.config));
    let document = TreeDocument { descriptor: root.clone(), bytes, manifest: Some(manifest) };
    Ok(ImageTree {
        path: image.path.clone(),
        root,
        documents: vec![document],
        blobs,
        missing: Vec::new(),
        selected_from: None,
    })
}

/// The digest of a layer as stored.
fn digest_of(layer: &LayerBlob, codec: Codec) -> io::Result<Digest> {
    match (layer.digest, codec) {
        (Some(digest), _) => Ok(digest),
        (None, Codec::Plain) => Ok(layer.diff_id.0),
        (None, _) => Digest::of_reader(layer.bytes.clone()),
    }
}
