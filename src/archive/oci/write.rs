//! Writes an OCI layout as a tar.
//!
//! Blobs are named by their digest, which is known only when the last byte has gone out; so the writer
//! needs an output that it can step back in, and puts each blob's header there afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Seek, SeekFrom, Write};

use super::blob_name;
use crate::archive::ArchiveError;
use crate::archive::blob::LayerBlob;
use crate::archive::compress::{BlockCompressor, Compression};
use crate::archive::decompress::Codec;
use crate::archive::docker::write_manifest;
use crate::archive::header::{BLOCK, END};
use crate::archive::sink::{
    ImageWriter, LayerSink, copy_layer, folder_header, layer_bytes, member_header, write_failed,
    write_member, write_padding,
};
use crate::archive::store::{BlobStore, NewBlob, StoredBlob};
use crate::image::digest::Hasher;
use crate::image::manifest::{
    Descriptor, IMAGE_NAME, OCI_LAYOUT, OciIndex, OciManifest, OciPlatform, REF_NAME, media_type,
};
use crate::image::{DiffId, Digest, Platform, Reference};

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
    store: Option<BlobStore>,
    begun: bool,
    manifests: Vec<Descriptor>,
    /// What a reader of docker-archives finds: of one image, since it knows no platforms.
    docker: Option<(String, Reference, Vec<String>)>,
}

/// The blob that is being written.
#[derive(Debug, Default)]
struct OpenBlob {
    start: u64,
    size: u64,
    hasher: Hasher,
    /// The same, on its way into the store.
    kept: Option<NewBlob>,
}

impl<W: Write + Seek> OciWriter<W> {
    /// Writes to `output`, compressing new layers by `compression` on `threads` threads. Compressed layers are put into
    /// `store`.
    pub fn new(
        output: W,
        compression: Compression,
        threads: usize,
        dual: bool,
        store: Option<BlobStore>,
    ) -> Self {
        Self {
            output,
            compressor: BlockCompressor::new(compression, threads),
            compression,
            dual,
            layers: Vec::new(),
            written: BTreeSet::new(),
            blob: OpenBlob::default(),
            store,
            begun: false,
            manifests: Vec::new(),
            docker: None,
        }
    }

    /// Writes the index of all images, and hands the output back with the length that it must be cut to: a blob that was
    /// taken back may have left bytes behind.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn close(mut self) -> io::Result<(W, u64)> {
        let mut manifests = std::mem::take(&mut self.manifests);
        if manifests.len() > 1 {
            manifests = vec![self.nested(manifests)?];
        }
        let index = OciIndex {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests,
        };
        write_member(&mut self.output, "index.json", &serde_json::to_vec(&index)?)?;
        if let Some((config, reference, layers)) = self.docker.take() {
            write_manifest(&mut self.output, config, &reference, layers)?;
        }
        self.output.write_all(&END)?;
        self.output.flush()?;
        let length = self.output.stream_position()?;
        Ok((self.output, length))
    }

    /// One index for the images of all platforms: readers of layouts take each entry of `index.json` for an image of its own.
    fn nested(&mut self, mut manifests: Vec<Descriptor>) -> io::Result<Descriptor> {
        let annotations = manifests.first().and_then(|manifest| manifest.annotations.clone());
        manifests.iter_mut().for_each(|manifest| manifest.annotations = None);
        let index = OciIndex {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests,
        };
        let mut nested = self.small_blob(media_type::INDEX, &serde_json::to_vec(&index)?)?;
        nested.annotations = annotations;
        Ok(nested)
    }

    /// Leaves room for the header of a blob whose digest is not known yet.
    fn open_blob(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
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
        self.layers.push(Descriptor {
            media_type,
            digest,
            size,
            platform: None,
            annotations: None,
        });
        Ok(())
    }

    fn small_blob(&mut self, media_type: &str, bytes: &[u8]) -> io::Result<Descriptor> {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        if self.written.insert(digest) {
            write_member(&mut self.output, &blob_name(digest), bytes)?;
        }
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            annotations: None,
        })
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
        self.open_blob()?;
        self.blob.kept =
            self.compressor.as_ref().and(self.store.as_ref()).and_then(BlobStore::begin);
        Ok(())
    }

    fn stored(&mut self, blob: &StoredBlob, _: DiffId) -> io::Result<()> {
        self.open_blob()?;
        let size = io::copy(&mut blob.bytes.clone(), &mut self.output)?;
        self.close_blob(blob.digest, size, layer_media_type(self.compression.codec()))
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
                let digest = blob.hasher.finish();
                if let (Some(kept), Some(store)) = (blob.kept.take(), &self.store) {
                    // Without it the next build takes longer, that is all.
                    let _ = kept.keep(store, diff_id, digest);
                }
                digest
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
        if self.kept.as_mut().is_some_and(|kept| kept.write(bytes).is_err()) {
            self.kept = None;
        }
        output.write_all(bytes)
    }
}

impl<W: Write + Seek> ImageWriter for OciWriter<W> {
    fn copy_layer(&mut self, layer: &LayerBlob, size: u64) -> Result<(), ArchiveError> {
        self.open_blob().map_err(write_failed)?;
        // The specification knows no xz.
        let read = ArchiveError::read(&layer.place);
        let (bytes, _, codec) =
            layer_bytes(layer, size, |codec| codec == Codec::Xz).map_err(read)?;
        let mut hasher = Hasher::default();
        let size = copy_layer(layer, bytes, &mut self.output, |bytes| hasher.update(bytes))?;
        self.close_blob(hasher.finish(), size, layer_media_type(codec)).map_err(write_failed)
    }

    fn layer_digests(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| layer.digest).collect()
    }

    fn finish(
        &mut self,
        config: &[u8],
        reference: &Reference,
        platform: &Platform,
    ) -> io::Result<()> {
        if !self.begun {
            self.open_blob()?;
            self.output.seek(SeekFrom::Start(self.blob.start))?;
        }
        let config = self.small_blob(media_type::CONFIG, config)?;
        let config_name = blob_name(config.digest);
        let layers = std::mem::take(&mut self.layers);
        let layer_names = layers.iter().map(|layer| blob_name(layer.digest)).collect();
        let media_type = Some(media_type::MANIFEST.to_owned());
        let manifest = OciManifest { schema_version: 2, media_type, config, layers };
        let mut manifest =
            self.small_blob(media_type::MANIFEST, &serde_json::to_vec(&manifest)?)?;
        manifest.platform = Some(OciPlatform::from(platform));
        manifest.annotations = Some(BTreeMap::from([
            (REF_NAME.to_owned(), reference.tag.to_string()),
            (IMAGE_NAME.to_owned(), reference.normalized()),
        ]));
        self.manifests.push(manifest);
        let fits = self.docker.is_none() || platform.arch == Platform::host().arch;
        if self.dual && fits {
            self.docker = Some((config_name, reference.clone(), layer_names));
        }
        Ok(())
    }
}
