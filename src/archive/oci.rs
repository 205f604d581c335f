//! The OCI image layout, as a folder or as a tar (OCI image-spec v1.1, `image-layout.md`).
//!
//! Blobs are named by their digest, which is known only when the last byte has gone out; so the writer
//! needs an output that it can step back in, and puts each blob's header there afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::ArchiveError;
use super::blob::LayerBlob;
use super::compress::{BlockCompressor, Compression};
use super::decompress::Codec;
use super::docker::write_manifest;
use super::header::{BLOCK, END};
use super::open::{Choice, Image, Store, check_digest, json, pair_layers};
use super::sink::{
    ImageWriter, LayerSink, copy, folder_header, layer_bytes, member_header, write_failed, write_member,
    write_padding,
};
use crate::image::digest::Hasher;
use crate::image::manifest::{
    Descriptor, IMAGE_NAME, OCI_LAYOUT, OciIndex, OciManifest, OciPlatform, REF_NAME, media_type,
};
use crate::image::{DiffId, Digest, Platform, Reference};

/// How deep indexes may nest.
const INDEX_DEPTH: usize = 4;

/// Reads the image of the layout `store` that `choice` means.
pub(crate) fn read(path: &Path, store: &Store, choice: &Choice) -> Result<Image, ArchiveError> {
    let index: OciIndex = json(path, "index.json", &store.document(path, "index.json")?)?;
    let mut found = Vec::new();
    collect(path, store, index, None, INDEX_DEPTH, &mut found)?;
    let (reference, descriptor) = choose(path, found, choice)?;
    let manifest: OciManifest = json(path, "the manifest", &blob(path, store, &descriptor)?)?;
    let raw_config = blob(path, store, &manifest.config)?;
    let config = json(path, "the config", &raw_config)?;
    let mut blobs = Vec::new();
    for layer in &manifest.layers {
        let name = blob_name(layer.digest);
        let slice = store.get(&name).map_err(ArchiveError::read(path))?;
        let slice = slice.ok_or_else(|| ArchiveError::invalid(path, format!("it has no layer {name}")))?;
        if slice.len() != layer.size {
            let problem =
                format!("layer {name} has {} bytes, but the manifest says {}", slice.len(), layer.size);
            return Err(ArchiveError::invalid(path, problem));
        }
        blobs.push((name, slice, Some(layer.digest)));
    }
    let layers = pair_layers(path, &config, blobs)?;
    let references = reference.into_iter().collect();
    Ok(Image { path: path.to_owned(), format: "OCI layout", config, raw_config, references, layers })
}

type Named = (Option<String>, Descriptor);

/// Gathers the image manifests of `index` and of the indexes within. A name on an index holds for what
/// it lists.
fn collect(
    path: &Path,
    store: &Store,
    index: OciIndex,
    name: Option<&str>,
    depth: usize,
    found: &mut Vec<Named>,
) -> Result<(), ArchiveError> {
    for descriptor in index.manifests {
        let name = name_of(&descriptor).or_else(|| name.map(str::to_owned));
        match descriptor.media_type.as_str() {
            media_type::INDEX | media_type::DOCKER_LIST if depth > 0 => {
                // An index may name platforms whose blobs were left out.
                let Some(_) = store.get(&blob_name(descriptor.digest)).map_err(ArchiveError::read(path))?
                else {
                    continue;
                };
                let inner = json(path, "an index", &blob(path, store, &descriptor)?)?;
                collect(path, store, inner, name.as_deref(), depth - 1, found)?;
            }
            media_type::MANIFEST | media_type::DOCKER_MANIFEST if is_image(&descriptor) => {
                found.push((name, descriptor));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Attestations travel as manifests of the platform `unknown`.
fn is_image(descriptor: &Descriptor) -> bool {
    descriptor.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
}

fn name_of(descriptor: &Descriptor) -> Option<String> {
    let annotations = descriptor.annotations.as_ref()?;
    annotations.get(IMAGE_NAME).or_else(|| annotations.get(REF_NAME)).cloned()
}

fn choose(path: &Path, found: Vec<Named>, choice: &Choice) -> Result<Named, ArchiveError> {
    let list = |found: &[Named]| {
        let shown = |(name, descriptor): &Named| {
            let platform = descriptor.platform.as_ref().map(|p| format!(" ({}/{})", p.os, p.architecture));
            format!("{}{}", name.as_deref().unwrap_or("unnamed"), platform.unwrap_or_default())
        };
        found.iter().map(shown).collect::<Vec<_>>().join(", ")
    };
    let all = list(&found);
    let fits_name = |named: &Named| {
        // A layout may hold the bare tag alone, the name being the folder's.
        let fits =
            |name: &str| choice.fits(name) || choice.name.is_none() && choice.tag.as_deref() == Some(name);
        !choice.names() || named.0.as_deref().is_some_and(fits)
    };
    let fits_platform = |named: &Named| match (&choice.platform, &named.1.platform) {
        (Some(wanted), Some(platform)) => {
            platform.architecture == wanted.arch.goarch() && platform.os == Platform::OS
        }
        _ => true,
    };
    let mut fitting: Vec<Named> = found.into_iter().filter(fits_name).collect();
    if fitting.len() > 1 {
        fitting.retain(fits_platform);
    }
    fitting.dedup_by_key(|named| named.1.digest);
    match (fitting.pop(), fitting.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) if all.is_empty() => Err(ArchiveError::invalid(path, "index.json lists no image")),
        (None, _) => {
            Err(ArchiveError::invalid(path, format!("no image fits {}; there are {all}", choice.shown())))
        }
        (Some(_), more) => {
            let problem = format!("{} images fit; choose one by name, tag or architecture: {all}", more + 1);
            Err(ArchiveError::invalid(path, problem))
        }
    }
}

fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A small blob, checked against its digest.
fn blob(path: &Path, store: &Store, descriptor: &Descriptor) -> Result<Vec<u8>, ArchiveError> {
    let name = blob_name(descriptor.digest);
    let bytes = store.document(path, &name)?;
    check_digest(path, &name, &bytes, descriptor.digest)?;
    Ok(bytes)
}

/// Writes an OCI layout as a tar; with `dual`, one that is a docker-archive as well.
#[derive(Debug)]
pub struct OciWriter<W> {
    output: W,
    compressor: Option<BlockCompressor>,
    compression: Compression,
    dual: bool,
    layers: Vec<Descriptor>,
    written: BTreeSet<Digest>,
    blob: OpenBlob,
}

/// The blob that is being written.
#[derive(Debug, Default)]
struct OpenBlob {
    start: u64,
    size: u64,
    hasher: Hasher,
}

impl<W: Write + Seek> OciWriter<W> {
    /// Writes to `output`, compressing new layers by `compression` on `threads` threads.
    pub fn new(output: W, compression: Compression, threads: usize, dual: bool) -> Self {
        Self {
            output,
            compressor: BlockCompressor::new(compression, threads),
            compression,
            dual,
            layers: Vec::new(),
            written: BTreeSet::new(),
            blob: OpenBlob::default(),
        }
    }

    /// Hands the output back, with the length that it must be cut to: a blob that was taken back may have
    /// left bytes behind.
    ///
    /// # Errors
    /// When the output cannot say where it stands.
    pub fn into_inner(mut self) -> io::Result<(W, u64)> {
        let length = self.output.stream_position()?;
        Ok((self.output, length))
    }

    /// Leaves room for the header of a blob whose digest is not known yet.
    fn open_blob(&mut self) -> io::Result<()> {
        if self.layers.is_empty() && self.written.is_empty() {
            write_member(&mut self.output, "oci-layout", OCI_LAYOUT.as_bytes())?;
            self.output.write_all(&folder_header("blobs"))?;
            self.output.write_all(&folder_header("blobs/sha256"))?;
        }
        self.blob = OpenBlob { start: self.output.stream_position()?, ..OpenBlob::default() };
        self.output.write_all(&[0; BLOCK as usize])
    }

    /// Puts the header in place, or takes the blob back where the archive has it already.
    fn close_blob(&mut self, digest: Digest, size: u64, media_type: String) -> io::Result<()> {
        if self.written.insert(digest) {
            write_padding(&mut self.output, size)?;
            let end = self.output.stream_position()?;
            self.output.seek(SeekFrom::Start(self.blob.start))?;
            self.output.write_all(&member_header(&blob_name(digest), size))?;
            self.output.seek(SeekFrom::Start(end))?;
        } else {
            self.output.seek(SeekFrom::Start(self.blob.start))?;
        }
        self.layers.push(Descriptor { media_type, digest, size, platform: None, annotations: None });
        Ok(())
    }

    fn small_blob(&mut self, media_type: &str, bytes: &[u8]) -> io::Result<Descriptor> {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        if self.written.insert(digest) {
            write_member(&mut self.output, &blob_name(digest), bytes)?;
        }
        Ok(Descriptor { media_type: media_type.to_owned(), digest, size, platform: None, annotations: None })
    }
}

fn layer_media_type(codec: Codec) -> String {
    match codec {
        Codec::Plain | Codec::Xz => media_type::LAYER.to_owned(),
        codec => format!("{}+{}", media_type::LAYER, codec.name()),
    }
}

impl<W: Write + Seek> LayerSink for OciWriter<W> {
    fn begin(&mut self, _: u64) -> io::Result<()> {
        self.open_blob()
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { output, compressor, blob, .. } = self;
        match compressor {
            None => {
                blob.size += bytes.len() as u64;
                output.write_all(bytes)
            }
            Some(compressor) => compressor.push(bytes, &mut |packed| blob.packed(output, packed)),
        }
    }

    fn end(&mut self, diff_id: DiffId) -> io::Result<()> {
        let Self { output, compressor, blob, .. } = self;
        let digest = match compressor {
            None => diff_id.0,
            Some(compressor) => {
                compressor.finish(&mut |packed| blob.packed(output, packed))?;
                blob.hasher.finish()
            }
        };
        let size = self.blob.size;
        self.close_blob(digest, size, layer_media_type(self.compression.codec()))
    }
}

impl OpenBlob {
    fn packed(&mut self, output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        output.write_all(bytes)
    }
}

impl<W: Write + Seek> ImageWriter for OciWriter<W> {
    fn copy_layer(&mut self, layer: &LayerBlob, size: u64) -> Result<(), ArchiveError> {
        self.open_blob().map_err(write_failed)?;
        // The specification knows no xz.
        let read = ArchiveError::read(&layer.place);
        let (bytes, _, codec) = layer_bytes(layer, size, |codec| codec == Codec::Xz).map_err(read)?;
        let mut hasher = Hasher::default();
        let size = copy(bytes, &layer.place, &mut self.output, |bytes| hasher.update(bytes))?;
        self.close_blob(hasher.finish(), size, layer_media_type(codec)).map_err(write_failed)
    }

    fn finish(&mut self, config: &[u8], reference: &Reference, platform: &Platform) -> io::Result<()> {
        if self.layers.is_empty() {
            self.open_blob()?;
            self.output.seek(SeekFrom::Start(self.blob.start))?;
        }
        let config = self.small_blob(media_type::CONFIG, config)?;
        let config_name = blob_name(config.digest);
        let layers = std::mem::take(&mut self.layers);
        let layer_names = layers.iter().map(|layer| blob_name(layer.digest)).collect();
        let media_type = Some(media_type::MANIFEST.to_owned());
        let manifest = OciManifest { schema_version: 2, media_type, config, layers };
        let mut manifest = self.small_blob(media_type::MANIFEST, &serde_json::to_vec(&manifest)?)?;
        manifest.platform = Some(OciPlatform::from(platform));
        manifest.annotations = Some(BTreeMap::from([
            (REF_NAME.to_owned(), reference.tag.to_string()),
            (IMAGE_NAME.to_owned(), containerd_name(reference)),
        ]));
        let media_type = Some(media_type::INDEX.to_owned());
        let index = OciIndex { schema_version: 2, media_type, manifests: vec![manifest] };
        write_member(&mut self.output, "index.json", &serde_json::to_vec(&index)?)?;
        if self.dual {
            write_manifest(&mut self.output, config_name, reference, layer_names)?;
        }
        self.output.write_all(&END)?;
        self.output.flush()
    }
}

/// containerd knows images by whole references alone, so Docker Hub's part is spelled out
/// (distribution, "familiar" and normalized names).
fn containerd_name(reference: &Reference) -> String {
    let name = reference.name.as_str();
    let registry = name.split_once('/').map(|(first, _)| first);
    match registry {
        Some(first) if first == "localhost" || first.contains(['.', ':']) => reference.to_string(),
        Some(_) => format!("docker.io/{reference}"),
        None => format!("docker.io/library/{reference}"),
    }
}
