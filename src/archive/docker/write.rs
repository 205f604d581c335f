//! Writes a docker-archive.
//!
//! It is written in one pass: a layer's file is named by the layer's position rather than by its
//! digest, so layers are hashed while they are written. The config and `manifest.json`, which
//! contain the digests, come last. All readers find everything through `manifest.json`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::layout::MANIFEST;
use crate::archive::ArchiveError;
use crate::archive::blob::LayerBlob;
use crate::archive::decompress::Codec;
use crate::archive::header::END;
#[cfg(any(feature = "registry", feature = "vm"))]
use crate::archive::image::Image;
use crate::archive::sink::{ImageMetadata, ImageWriter, LayerSink};
use crate::archive::write::{
    copy_layer, layer_bytes, member_header, write_failed, write_member, write_padding,
};
#[cfg(any(feature = "registry", feature = "vm"))]
use crate::image::Platform;
use crate::image::manifest::DockerManifest;
use crate::image::{DiffId, Digest, Reference};

/// Writes a docker-archive to a stream.
#[derive(Debug)]
pub struct DockerWriter<W> {
    output: W,
    layers: Vec<String>,
    copied: BTreeMap<DiffId, String>,
    size: u64,
}

impl<W: Write> DockerWriter<W> {
    /// Writes to `output`.
    pub fn new(output: W) -> Self {
        Self { output, layers: Vec::new(), copied: BTreeMap::new(), size: 0 }
    }

    /// Returns the output.
    pub fn into_inner(self) -> W {
        self.output
    }

    /// Adds a layer to the manifest, but not to the archive: the daemon that loads it has the
    /// layer.
    #[cfg(any(feature = "registry", feature = "vm"))]
    pub fn add_absent_layer(&mut self) {
        self.layers.push(self.next_name());
    }

    /// Adds a layer whose file in the archive is empty: the engine that loads it has the layer, but
    /// rejects an archive without its file.
    #[cfg(feature = "vm")]
    fn add_empty_layer(&mut self) -> io::Result<()> {
        self.begin_member(0)
    }

    fn next_name(&self) -> String {
        format!("{:03}/layer.tar", self.layers.len() + 1)
    }

    fn begin_member(&mut self, size: u64) -> io::Result<()> {
        let name = self.next_name();
        self.output.write_all(&member_header(&name, size))?;
        self.layers.push(name);
        self.size = size;
        Ok(())
    }
}

impl<W: Write> LayerSink for DockerWriter<W> {
    fn begin(&mut self, size: u64) -> io::Result<()> {
        self.begin_member(size)
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)
    }

    fn end(&mut self, _: DiffId) -> io::Result<()> {
        write_padding(&mut self.output, self.size)
    }
}

impl<W: Write> ImageWriter for DockerWriter<W> {
    fn copy_layer(&mut self, layer: &LayerBlob, size: u64) -> Result<(), ArchiveError> {
        if let Some(name) = self.copied.get(&layer.diff_id) {
            self.layers.push(name.clone());
            return Ok(());
        }
        // Docker supports plain and gzip layers since 1.10, zstd only since 23.
        let decompress = |codec: Codec| !matches!(codec, Codec::Plain | Codec::Gzip);
        let read_failed = ArchiveError::read(&layer.name);
        let (bytes, size, _) = layer_bytes(layer, size, decompress).map_err(read_failed)?;
        self.begin_member(size).map_err(write_failed)?;
        self.copied.extend(self.layers.last().map(|name| (layer.diff_id, name.clone())));
        copy_layer(layer, bytes, &mut self.output, |_| ())?;
        write_padding(&mut self.output, size).map_err(write_failed)
    }

    fn finish(&mut self, config: &[u8], metadata: &ImageMetadata) -> io::Result<()> {
        let config_name = format!("{}.json", Digest::of(config).hex());
        write_member(&mut self.output, &config_name, config)?;
        let layers = std::mem::take(&mut self.layers);
        let image = ListedImage { config: config_name, layers, references: &metadata.references };
        write_manifest(&mut self.output, &[image])?;
        self.output.write_all(&END)?;
        self.output.flush()
    }
}

/// Writes `image`, whose uncompressed layers have `sizes`, as a docker-archive with the name
/// `reference`. Layers and config stay the same, byte for byte. The lowest `absent` layers are
/// listed in the manifest, but not written.
///
/// # Errors
/// If a layer cannot be read, or `output` cannot be written.
#[cfg(any(feature = "registry", feature = "vm"))]
pub fn repack(
    image: &Image,
    sizes: &[u64],
    reference: &Reference,
    absent: usize,
    output: &mut dyn Write,
) -> Result<(), ArchiveError> {
    let mut writer = DockerWriter::new(output);
    (0..absent).for_each(|_| writer.add_absent_layer());
    repack_others(writer, image, sizes, reference, absent)
}

/// Like [`repack`]; the files of the lowest `absent` layers are empty.
///
/// # Errors
/// If a layer cannot be read, or `output` cannot be written.
#[cfg(feature = "vm")]
pub(crate) fn repack_with_empty_layers(
    image: &Image,
    sizes: &[u64],
    reference: &Reference,
    absent: usize,
    output: &mut dyn Write,
) -> Result<(), ArchiveError> {
    let mut writer = DockerWriter::new(output);
    (0..absent).try_for_each(|_| writer.add_empty_layer()).map_err(write_failed)?;
    repack_others(writer, image, sizes, reference, absent)
}

/// Writes the archive from the layer `first` on.
#[cfg(any(feature = "registry", feature = "vm"))]
fn repack_others(
    mut writer: DockerWriter<&mut dyn Write>,
    image: &Image,
    sizes: &[u64],
    reference: &Reference,
    first: usize,
) -> Result<(), ArchiveError> {
    for (layer, size) in image.layers.iter().zip(sizes).skip(first) {
        writer.copy_layer(layer, *size)?;
    }
    let metadata = ImageMetadata {
        references: vec![reference.clone()],
        platform: Platform::host(),
        annotations: BTreeMap::new(),
    };
    writer.finish(&image.raw_config, &metadata).map_err(write_failed)
}

/// An image in `manifest.json`.
#[derive(Debug)]
pub(crate) struct ListedImage<'a> {
    /// The name of the config's member.
    pub(crate) config: String,
    /// The names of the layers' members, lowest first.
    pub(crate) layers: Vec<String>,
    pub(crate) references: &'a [Reference],
}

/// Writes `manifest.json`, and `repositories` for readers that take names from it.
pub(crate) fn write_manifest(output: &mut dyn Write, images: &[ListedImage<'_>]) -> io::Result<()> {
    let manifest = images.iter().map(|image| DockerManifest {
        config: image.config.clone(),
        repo_tags: image.references.iter().map(ToString::to_string).collect(),
        layers: image.layers.clone(),
    });
    let manifests: Vec<DockerManifest> = manifest.collect();
    write_member(output, MANIFEST, &serde_json::to_vec(&manifests)?)?;
    let mut repositories: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for image in images {
        let top = image.layers.last().and_then(|name| name.strip_suffix("/layer.tar"));
        for (reference, top) in image.references.iter().filter_map(|name| Some((name, top?))) {
            let tags = repositories.entry(reference.name.as_str()).or_default();
            tags.insert(reference.tag.as_str(), top);
        }
    }
    match repositories.is_empty() {
        true => Ok(()),
        false => write_member(output, "repositories", &serde_json::to_vec(&repositories)?),
    }
}
