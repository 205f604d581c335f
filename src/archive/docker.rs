//! The docker-archive, which `docker save` writes and `docker load` reads
//! (moby `image/spec`, "Combined Image JSON + Filesystem Changeset Format").
//!
//! It is written in one pass: a layer's file is named by the layer's position rather than by its
//! digest, so layers are hashed while they are written. The config and `manifest.json`, which
//! contain the digests, come last. All readers find everything through `manifest.json`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::ArchiveError;
use super::blob::LayerBlob;
use super::decompress::Codec;
use super::header::END;
use super::image::{
    Image, ImageFormat, ImageSelector, StoredLayer, best_by_rank, check_digest, check_layer_count,
    pair_layers,
};
use super::image_files::ImageFiles;
use super::json;
use super::members::inner_name;
use super::sink::{ImageWriter, LayerSink};
use super::write::{
    copy_layer, layer_bytes, member_header, write_failed, write_member, write_padding,
};
use crate::image::manifest::{DockerManifest, OciPlatform};
use crate::image::{DiffId, Digest, ImageConfig, Platform, Reference, schema};
use crate::text;

/// The file that lists the images.
pub(crate) const MANIFEST: &str = "manifest.json";

/// Reads the image in `files` that `selector` selects.
pub(crate) fn read(
    path: &Path,
    files: &ImageFiles,
    selector: &ImageSelector,
) -> Result<Image, ArchiveError> {
    let archive = DockerArchive { path, files };
    let manifest = archive.select(selector)?;
    let (name, raw_config) = archive.config_file(&manifest)?;
    let config = archive.parse_config(&name, &raw_config)?;
    let layers = pair_layers(path, &config, archive.layers(&manifest)?)?;
    let (path, references) = (path.to_owned(), manifest.repo_tags);
    let format = ImageFormat::DockerArchive;
    let limits = selector.limits;
    Ok(Image { path, format, config, raw_config, references, layers, limits })
}

/// A docker-archive that is read.
struct DockerArchive<'a> {
    path: &'a Path,
    files: &'a ImageFiles,
}

impl DockerArchive<'_> {
    fn invalid(&self, problem: impl Into<String>) -> ArchiveError {
        ArchiveError::invalid(self.path, problem)
    }

    /// Selects one of the images that the archive lists.
    fn select(&self, selector: &ImageSelector) -> Result<DockerManifest, ArchiveError> {
        let bytes = self.files.document(self.path, MANIFEST)?;
        let all: Option<Vec<DockerManifest>> =
            json::parse(self.path, MANIFEST, &bytes, schema::DOCKER_MANIFESTS)?;
        let all = without_duplicates(all.unwrap_or_default());
        let (named, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|manifest| has_name(manifest, selector));
        if named.is_empty() {
            return Err(self.invalid(match others.is_empty() {
                true => format!("{MANIFEST} lists no image"),
                false => format!("no image matches {selector}; the archive has {}", list(&others)),
            }));
        }
        let mut images = self.for_platform(named, selector)?;
        match (images.pop(), images.len()) {
            (Some(manifest), 0) => Ok(manifest),
            (last, _) => {
                images.extend(last);
                let matching = selector.describe_matching(images.len());
                let found = list(&images);
                let problem = format!("{matching}; select one by name, tag or platform: {found}");
                Err(self.invalid(problem))
            }
        }
    }

    /// Of several images, keeps those that suit the selected platform best, if there are any.
    fn for_platform(
        &self,
        images: Vec<DockerManifest>,
        selector: &ImageSelector,
    ) -> Result<Vec<DockerManifest>, ArchiveError> {
        let Some(wanted) = selector.platform.as_ref().filter(|_| images.len() > 1) else {
            return Ok(images);
        };
        let (mut ranks, mut ranks_of_configs) = (Vec::new(), BTreeMap::new());
        for manifest in &images {
            let rank = match ranks_of_configs.get(&manifest.config) {
                Some(rank) => *rank,
                None => {
                    let (name, config) = self.config_file(manifest)?;
                    let platform = OciPlatform::from(&self.parse_config(&name, &config)?);
                    platform.rank_for(wanted)
                }
            };
            ranks_of_configs.insert(&manifest.config, rank);
            ranks.push(rank);
        }
        Ok(best_by_rank(images, &ranks))
    }

    /// The name and the content of the config.
    fn config_file(&self, manifest: &DockerManifest) -> Result<(String, Vec<u8>), ArchiveError> {
        let name = self.member_name(&manifest.config)?;
        let content = self.files.document(self.path, &name)?;
        if let Some(digest) = digest_in(&name) {
            check_digest(self.path, &format!("the config {name}"), &content, digest)?;
        }
        Ok((name, content))
    }

    fn parse_config(&self, name: &str, content: &[u8]) -> Result<ImageConfig, ArchiveError> {
        json::parse(self.path, name, content, schema::CONFIG)
    }

    fn layers(&self, manifest: &DockerManifest) -> Result<Vec<StoredLayer>, ArchiveError> {
        check_layer_count(self.path, manifest.layers.len())?;
        let layer = |name: &String| {
            let name = self.member_name(name)?;
            let bytes = self.files.layer(self.path, &name)?;
            let digest = name.starts_with("blobs/").then(|| digest_in(&name)).flatten();
            Ok(StoredLayer { name, bytes, digest })
        };
        manifest.layers.iter().map(layer).collect()
    }

    /// The name of a member that the manifest names.
    fn member_name(&self, name: &str) -> Result<String, ArchiveError> {
        let inner = inner_name(name.as_bytes()).filter(|inner| !inner.is_empty());
        inner.ok_or_else(|| {
            self.invalid(format!(
                "{MANIFEST} names a file outside the archive: {}",
                text::quote(name)
            ))
        })
    }
}

/// The digest in a file name: `<hex>.json`, `sha256:<hex>` or `blobs/sha256/<hex>`.
fn digest_in(name: &str) -> Option<Digest> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let hex = base.strip_prefix("sha256:").unwrap_or(base);
    Digest::from_hex(hex.strip_suffix(".json").unwrap_or(hex)).ok()
}

/// Joins entries for the same image: some writers list it once for each of its names.
fn without_duplicates(all: Vec<DockerManifest>) -> Vec<DockerManifest> {
    let mut positions: BTreeMap<(String, Vec<String>), usize> = BTreeMap::new();
    let mut unique: Vec<DockerManifest> = Vec::new();
    for manifest in all {
        let key = (manifest.config.clone(), manifest.layers.clone());
        match positions.get(&key).and_then(|position| unique.get_mut(*position)) {
            Some(known) => known.repo_tags.extend(manifest.repo_tags),
            None => {
                positions.insert(key, unique.len());
                unique.push(manifest);
            }
        }
    }
    unique
}

fn has_name(manifest: &DockerManifest, selector: &ImageSelector) -> bool {
    !selector.has_name_or_tag()
        || manifest.repo_tags.iter().any(|reference| selector.matches(reference))
}

/// The names of images, for messages.
fn list(images: &[DockerManifest]) -> String {
    text::list(images.iter().map(|image| match image.repo_tags.first() {
        Some(name) => name.clone(),
        None => format!("an unnamed one with the config {}", image.config),
    }))
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

    /// Returns the output.
    pub fn into_inner(self) -> W {
        self.output
    }

    /// Adds a layer to the manifest, but not to the archive: the daemon that loads it has the
    /// layer.
    #[cfg(feature = "vm")]
    pub fn add_absent_layer(&mut self) {
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
        // Docker supports plain and gzip layers since 1.10, zstd only since 23.
        let decompress = |codec: Codec| !matches!(codec, Codec::Plain | Codec::Gzip);
        let read_failed = ArchiveError::read(&layer.name);
        let (bytes, size, _) = layer_bytes(layer, size, decompress).map_err(read_failed)?;
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

/// Writes `image`, whose uncompressed layers have `sizes`, as a docker-archive with the name
/// `reference`. Layers and config stay the same, byte for byte. The lowest `absent` layers are
/// listed in the manifest, but not written.
///
/// # Errors
/// If a layer cannot be read, or `output` cannot be written.
#[cfg(feature = "vm")]
pub fn repack(
    image: &Image,
    sizes: &[u64],
    reference: &Reference,
    absent: usize,
    output: &mut dyn Write,
) -> Result<(), ArchiveError> {
    let mut writer = DockerWriter::new(output);
    (0..absent).for_each(|_| writer.add_absent_layer());
    for (layer, size) in image.layers.iter().zip(sizes).skip(absent) {
        writer.copy_layer(layer, *size)?;
    }
    writer.finish(&image.raw_config, reference, &Platform::host()).map_err(write_failed)
}

/// Writes `manifest.json`, and `repositories` for readers that take names from it.
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
