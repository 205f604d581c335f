//! The docker-archive: what `docker save` writes and `docker load` reads
//! (moby `image/spec`, "Combined Image JSON + Filesystem Changeset Format").
//!
//! Written in one pass: a layer's member name is its place in the stack rather than its digest, so that
//! layers are hashed while they are written, and the config and `manifest.json`, which name the digests,
//! come last. Every reader goes by `manifest.json`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::blob::LayerBlob;
use super::decompress::Codec;
use super::header::END;
use super::members::inner_name;
use super::open::{Image, ImageSelector, Store, check_digest, json, pair_layers};
use super::sink::{
    ImageWriter, LayerSink, copy_layer, layer_bytes, member_header, write_failed, write_member,
    write_padding,
};
use super::{ArchiveError, decompress};
use crate::image::manifest::DockerManifest;
use crate::image::{DiffId, Digest, Platform, Reference};

/// The name of the file that lists the images.
pub const MANIFEST: &str = "manifest.json";

/// Reads the image of `store` that `choice` means, through `manifest.json` alone.
pub(crate) fn read(
    path: &Path,
    store: &Store,
    choice: &ImageSelector,
) -> Result<Image, ArchiveError> {
    let manifests: Vec<DockerManifest> = json(path, MANIFEST, &store.document(path, MANIFEST)?)?;
    let manifest = choose(path, manifests, choice)?;
    let inner = |name: &str| {
        let inner = inner_name(name.as_bytes()).filter(|inner| !inner.is_empty());
        inner.ok_or_else(|| {
            ArchiveError::invalid(path, format!("{MANIFEST} names {name:?}, outside the archive"))
        })
    };
    let config_name = inner(&manifest.config)?;
    let raw_config = store.document(path, &config_name)?;
    if let Some(digest) = digest_in(&config_name) {
        check_digest(path, &format!("the config {config_name}"), &raw_config, digest)?;
    }
    let config = json(path, &config_name, &raw_config)?;
    let mut blobs = Vec::new();
    for layer in &manifest.layers {
        let name = inner(layer)?;
        let slice = store.get(&name).map_err(ArchiveError::read(path))?;
        let slice =
            slice.ok_or_else(|| ArchiveError::invalid(path, format!("it has no layer {name}")))?;
        let digest = name.starts_with("blobs/").then(|| digest_in(&name)).flatten();
        blobs.push((name, slice, digest));
    }
    let layers = pair_layers(path, &config, blobs)?;
    let (path, references) = (path.to_owned(), manifest.repo_tags);
    Ok(Image { path, format: "docker-archive", config, raw_config, references, layers })
}

/// The digest that a member's name states: `<hex>.json`, or `blobs/sha256/<hex>`.
fn digest_in(name: &str) -> Option<Digest> {
    let base = name.rsplit('/').next().unwrap_or(name);
    Digest::from_hex(base.strip_suffix(".json").unwrap_or(base)).ok()
}

fn choose(
    path: &Path,
    manifests: Vec<DockerManifest>,
    choice: &ImageSelector,
) -> Result<DockerManifest, ArchiveError> {
    let names: Vec<String> =
        manifests.iter().flat_map(|manifest| manifest.repo_tags.clone()).collect();
    let fits = |manifest: &DockerManifest| {
        !choice.names() || manifest.repo_tags.iter().any(|reference| choice.fits(reference))
    };
    let mut fitting: Vec<DockerManifest> = manifests.into_iter().filter(fits).collect();
    match (fitting.pop(), fitting.len()) {
        (Some(manifest), 0) => Ok(manifest),
        (None, _) if names.is_empty() => {
            Err(ArchiveError::invalid(path, format!("{MANIFEST} lists no named image")))
        }
        (None, _) => {
            let problem =
                format!("no image fits {}; there are {}", choice.shown(), names.join(", "));
            Err(ArchiveError::invalid(path, problem))
        }
        (Some(_), more) => {
            let problem = format!(
                "{} images fit {}; choose one by name and tag: {}",
                more + 1,
                choice.shown(),
                names.join(", ")
            );
            Err(ArchiveError::invalid(path, problem))
        }
    }
}

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

    /// Hands the output back.
    pub fn into_inner(self) -> W {
        self.output
    }

    /// Names a layer that is not in the archive: whoever reads it must have it.
    pub fn absent(&mut self) {
        self.layers.push(self.next_name());
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
        // Docker reads plain and gzip layers since 1.10, zstd only since 23.
        let unpack =
            |codec: Codec| !matches!(codec, decompress::Codec::Plain | decompress::Codec::Gzip);
        let read = ArchiveError::read(&layer.place);
        let (bytes, size, _) = layer_bytes(layer, size, unpack).map_err(read)?;
        self.begin_member(size).map_err(write_failed)?;
        self.copied.extend(self.layers.last().map(|name| (layer.diff_id, name.clone())));
        copy_layer(layer, bytes, &mut self.output, |_| ())?;
        write_padding(&mut self.output, size).map_err(write_failed)
    }

    fn finish(&mut self, config: &[u8], reference: &Reference, _: &Platform) -> io::Result<()> {
        let config_name = format!("{}.json", Digest::of(config).hex());
        write_member(&mut self.output, &config_name, config)?;
        let layers = std::mem::take(&mut self.layers);
        write_manifest(&mut self.output, config_name, reference, layers)?;
        self.output.write_all(&END)?;
        self.output.flush()
    }
}

/// Writes `image`, whose layers are of `sizes` when unpacked, as a docker-archive under `reference`: the same layers and
/// the same config, byte for byte. Its first `absent` layers are named, and left out.
///
/// # Errors
/// When a layer cannot be read, or `output` cannot be written.
pub fn repack(
    image: &Image,
    sizes: &[u64],
    reference: &Reference,
    absent: usize,
    output: &mut dyn Write,
) -> Result<(), ArchiveError> {
    let mut writer = DockerWriter::new(output);
    (0..absent).for_each(|_| writer.absent());
    for (layer, size) in image.layers.iter().zip(sizes).skip(absent) {
        writer.copy_layer(layer, *size)?;
    }
    writer.finish(&image.raw_config, reference, &Platform::host()).map_err(write_failed)
}

/// Writes `manifest.json`, and `repositories` for readers that list names by it.
pub(crate) fn write_manifest(
    output: &mut dyn Write,
    config: String,
    reference: &Reference,
    layers: Vec<String>,
) -> io::Result<()> {
    let top = layers.last().and_then(|name| name.strip_suffix("/layer.tar")).map(str::to_owned);
    let manifest = [DockerManifest { config, repo_tags: vec![reference.to_string()], layers }];
    write_member(output, MANIFEST, &serde_json::to_vec(&manifest)?)?;
    let Some(top) = top else { return Ok(()) };
    let tag = BTreeMap::from([(reference.tag.as_str(), top)]);
    let repositories = BTreeMap::from([(reference.name.as_str(), tag)]);
    write_member(output, "repositories", &serde_json::to_vec(&repositories)?)
}
