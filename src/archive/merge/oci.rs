//! An OCI layout with several images.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::input::Input;
use super::merged::{Merged, MergedImage};
use crate::archive::ArchiveError;
use crate::archive::blob::{FileSlice, LayerBlob};
use crate::archive::decompress::Codec;
use crate::archive::header::END;
use crate::archive::image::Image;
use crate::archive::oci::{
    Layout, blob_name, layer_media_type, name_of, named, write_index, write_start,
};
use crate::archive::verify;
use crate::archive::write::{copy, member_header, write_failed, write_padding};
use crate::image::digest::Hasher;
use crate::image::manifest::{Descriptor, OciManifest, OciPlatform, media_type};
use crate::image::{Digest, Reference};

/// Writes the images of `inputs`.
pub(super) fn write(
    inputs: &[Input],
    threads: usize,
    output: &mut dyn Write,
) -> Result<Merged, ArchiveError> {
    let mut writer = Writer::begin(output)?;
    for input in inputs {
        match &input.layout {
            Some(layout) => writer.add_layout(&input.path, layout)?,
            None => {
                for image in &input.images {
                    writer.add_image(image, threads)?;
                }
            }
        }
    }
    writer.finish()?;
    Ok(summary(inputs))
}

struct Writer<'a> {
    output: &'a mut dyn Write,
    written: BTreeSet<Digest>,
    entries: Vec<Descriptor>,
    /// The names of the entries, and the digests of those without a name.
    listed: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    fn begin(output: &'a mut dyn Write) -> Result<Self, ArchiveError> {
        write_start(output).map_err(write_failed)?;
        let (written, listed) = (BTreeSet::new(), BTreeSet::new());
        Ok(Self { output, written, entries: Vec::new(), listed })
    }

    /// Copies a layout as it is.
    fn add_layout(&mut self, path: &Path, layout: &Layout) -> Result<(), ArchiveError> {
        for (digest, bytes) in &layout.blobs {
            let blob = Blob { image: path, bytes: Box::new(bytes.clone()), size: bytes.len() };
            self.blob(*digest, blob, Some(bytes))?;
        }
        layout.roots.iter().for_each(|root| self.list(root.clone()));
        Ok(())
    }

    /// Writes an image of a docker-archive, with a manifest.
    fn add_image(&mut self, image: &Image, threads: usize) -> Result<(), ArchiveError> {
        let verified = verify::layers(image, threads)?;
        let mut layers = Vec::new();
        for (layer, verified) in image.layers.iter().zip(verified) {
            layers.push(self.layer(image, layer, verified.codec, verified.size)?);
        }
        let config = self.document(media_type::CONFIG, &image.raw_config)?;
        let manifest = OciManifest::new(config, layers, BTreeMap::new());
        let manifest = serde_json::to_vec(&manifest).map_err(|e| write_failed(e.into()))?;
        let mut manifest = self.document(media_type::MANIFEST, &manifest)?;
        manifest.platform = Some(OciPlatform::from(&image.config));
        let references = image.references.iter().filter_map(|name| name.parse::<Reference>().ok());
        let references: Vec<Reference> = references.collect();
        if references.is_empty() {
            self.list(manifest);
        } else {
            references.iter().for_each(|reference| self.list(named(&manifest, reference)));
        }
        Ok(())
    }

    /// Writes a layer as it is stored, but for xz, for which the specification has no media type.
    fn layer(
        &mut self,
        image: &Image,
        layer: &LayerBlob,
        codec: Codec,
        size: u64,
    ) -> Result<Descriptor, ArchiveError> {
        let (digest, size, bytes): (_, _, Box<dyn Read + Send>) = match codec {
            Codec::Xz => {
                let decoded = codec.decode(layer.bytes.clone());
                (layer.diff_id.0, size, decoded.map_err(ArchiveError::read(&image.path))?)
            }
            _ => {
                let digest = match layer.digest {
                    Some(digest) => digest,
                    None => Digest::of_reader(layer.bytes.clone())
                        .map_err(ArchiveError::read(&image.path))?,
                };
                (digest, layer.bytes.len(), Box::new(layer.bytes.clone()))
            }
        };
        self.blob(digest, Blob { image: &image.path, bytes, size }, Some(&layer.bytes))?;
        Ok(Descriptor::new(layer_media_type(codec), digest, size))
    }

    fn document(&mut self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, ArchiveError> {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        let blob =
            Blob { image: Path::new(""), bytes: Box::new(io::Cursor::new(bytes.to_vec())), size };
        self.blob(digest, blob, None)?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// Writes a blob, unless there is one with its digest, and checks that digest. `source` is the
    /// file that it comes from.
    fn blob(
        &mut self,
        digest: Digest,
        blob: Blob<'_>,
        source: Option<&FileSlice>,
    ) -> Result<(), ArchiveError> {
        if !self.written.insert(digest) {
            return Ok(());
        }
        let (name, mut hasher) = (blob_name(digest), Hasher::default());
        self.output.write_all(&member_header(&name, blob.size)).map_err(write_failed)?;
        let stored_in = blob.image.join(&name).to_string_lossy().into_owned();
        copy(blob.bytes, &stored_in, self.output, |bytes| hasher.update(bytes))?;
        write_padding(self.output, blob.size).map_err(write_failed)?;
        if let Some(source) = source
            && !source.is_unchanged().map_err(ArchiveError::read(blob.image))?
        {
            return Err(ArchiveError::Changed(blob.image.to_owned()));
        }
        let found = hasher.finish();
        if found == digest {
            return Ok(());
        }
        let path: PathBuf = blob.image.to_owned();
        Err(ArchiveError::Corrupted { path, part: name, expected: digest, found })
    }

    /// Adds an entry to `index.json`, unless it has one of that name, or of that digest if it has
    /// no name.
    fn list(&mut self, entry: Descriptor) {
        let name = name_of(&entry).map_or_else(|| entry.digest.to_string(), str::to_owned);
        if self.listed.insert(name) {
            self.entries.push(entry);
        }
    }

    fn finish(self) -> Result<(), ArchiveError> {
        write_index(self.output, self.entries)
            .and_then(|()| self.output.write_all(&END))
            .map_err(write_failed)
    }
}

/// The bytes of a blob, and the image that they come from.
struct Blob<'a> {
    image: &'a Path,
    bytes: Box<dyn Read + Send>,
    size: u64,
}

/// Describes the images, each once, with the names from all inputs.
fn summary(inputs: &[Input]) -> Merged {
    let mut merged = Merged::default();
    let (mut layers, mut numbers) = (BTreeSet::new(), BTreeMap::new());
    for image in inputs.iter().flat_map(|input| &input.images) {
        let id = image.id();
        let known = numbers.get(&id).copied();
        if let Some(known) = known.and_then(|number: usize| merged.images.get_mut(number)) {
            for name in &image.references {
                if !known.references.contains(name) {
                    known.references.push(name.clone());
                }
            }
            continue;
        }
        for layer in &image.layers {
            match layers.insert((layer.diff_id, layer.digest)) {
                true => merged.layers += 1,
                false => merged.shared_layers += 1,
            }
        }
        let platform = OciPlatform::from(&image.config).to_string();
        let references = image.references.clone();
        numbers.insert(id, merged.images.len());
        merged.images.push(MergedImage { id, references, platform });
    }
    merged
}
