//! A docker-archive with several images.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::input::Input;
use super::merged::{Merged, MergedImage};
use crate::archive::ArchiveError;
use crate::archive::decompress::Codec;
use crate::archive::docker::{ListedImage, write_manifest};
use crate::archive::header::END;
use crate::archive::image::Image;
use crate::archive::verify;
use crate::archive::write::{
    copy_layer, layer_bytes, member_header, write_failed, write_member, write_padding,
};
use crate::image::manifest::OciPlatform;
use crate::image::{DiffId, Digest, Reference};

/// Writes the images of `inputs`.
pub(super) fn write(
    inputs: &[Input],
    threads: usize,
    output: &mut dyn Write,
) -> Result<Merged, ArchiveError> {
    let (layers, images, numbers) = (BTreeSet::new(), Vec::new(), BTreeMap::new());
    let mut writer = Writer { output, layers, images, numbers, shared: 0 };
    for image in inputs.iter().flat_map(|input| &input.images) {
        writer.add(image, threads)?;
    }
    writer.finish()
}

struct Writer<'a> {
    output: &'a mut dyn Write,
    /// The layers that are written.
    layers: BTreeSet<DiffId>,
    images: Vec<WrittenImage>,
    /// The indexes of the images.
    numbers: BTreeMap<Digest, usize>,
    shared: usize,
}

struct WrittenImage {
    id: Digest,
    references: Vec<Reference>,
    layers: Vec<String>,
    platform: String,
}

impl Writer<'_> {
    fn add(&mut self, image: &Image, threads: usize) -> Result<(), ArchiveError> {
        let references = image.references.iter().filter_map(|name| reference(name));
        let id = image.id();
        let known = self.numbers.get(&id).copied();
        if let Some(known) = known.and_then(|number| self.images.get_mut(number)) {
            for reference in references {
                if !known.references.contains(&reference) {
                    known.references.push(reference);
                }
            }
            return Ok(());
        }
        let references = references.collect();
        let verified = verify::layers(image, threads)?;
        let mut names = Vec::new();
        for (layer, verified) in image.layers.iter().zip(&verified) {
            let name = format!("{}/layer.tar", layer.diff_id.0.hex());
            if self.layers.insert(layer.diff_id) {
                // Docker supports plain and gzip layers since 1.10, zstd only since 23.
                let decompress = |codec: Codec| !matches!(codec, Codec::Plain | Codec::Gzip);
                let read_failed = ArchiveError::read(&layer.name);
                let bytes = layer_bytes(layer, verified.size, decompress).map_err(read_failed)?;
                let (bytes, size, _) = bytes;
                self.output.write_all(&member_header(&name, size)).map_err(write_failed)?;
                copy_layer(layer, bytes, self.output, |_| ())?;
                write_padding(self.output, size).map_err(write_failed)?;
            } else {
                self.shared += 1;
            }
            names.push(name);
        }
        let config = format!("{}.json", id.hex());
        write_member(self.output, &config, &image.raw_config).map_err(write_failed)?;
        let platform = OciPlatform::from(&image.config).to_string();
        self.numbers.insert(id, self.images.len());
        self.images.push(WrittenImage { id, references, layers: names, platform });
        Ok(())
    }

    fn finish(self) -> Result<Merged, ArchiveError> {
        let Self { output, layers, images, shared, .. } = self;
        let listed = images.iter().map(|image| ListedImage {
            config: format!("{}.json", image.id.hex()),
            layers: image.layers.clone(),
            references: &image.references,
        });
        let listed: Vec<ListedImage<'_>> = listed.collect();
        let written = write_manifest(output, &listed).and_then(|()| output.write_all(&END));
        written.map_err(write_failed)?;
        let images = images.into_iter().map(|image| MergedImage {
            id: image.id,
            references: image.references.iter().map(ToString::to_string).collect(),
            platform: image.platform,
        });
        Ok(Merged { images: images.collect(), layers: layers.len(), shared_layers: shared })
    }
}

/// The reference in a name. A name in an OCI layout may be the tag alone, which names nothing
/// elsewhere.
fn reference(name: &str) -> Option<Reference> {
    name.parse().ok().filter(|_| name.contains([':', '/']))
}
