//! What receives an image while it is made: layers in order, then the config.

use std::io::{self, Write};

use super::ArchiveError;
use super::blob::LayerBlob;
use super::decompress::Codec;
use super::entry::{Attributes, FileContent, Kind};
use super::header;
use super::store::StoredBlob;
use crate::image::{DiffId, Digest, Platform, Reference};

/// Receives new layers as uncompressed tars.
pub trait LayerSink {
    /// A layer of `size` bytes begins.
    ///
    /// # Errors
    /// When the output cannot be written; so for all methods.
    fn begin(&mut self, size: u64) -> io::Result<()>;

    /// Whether it takes the bytes of layers whose digest is known.
    fn wants_bytes(&self) -> bool {
        true
    }

    /// The next bytes of the layer.
    fn data(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// A whole layer whose compressed bytes are known. Only asked of sinks that have a store of such.
    fn stored(&mut self, _: &StoredBlob, _: DiffId) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The layer is complete; all its bytes together have the digest `diff_id`.
    fn end(&mut self, diff_id: DiffId) -> io::Result<()>;
}

/// Writes an image: base layers, then new layers, then [`finish`](Self::finish).
pub trait ImageWriter: LayerSink {
    /// Takes over a layer of a base image. `size` is the size of its uncompressed tar.
    ///
    /// # Errors
    /// When the layer cannot be read or the output cannot be written.
    fn copy_layer(&mut self, layer: &LayerBlob, size: u64) -> Result<(), ArchiveError>;

    /// The digests of the image's layers as stored, lowest first; empty if the format does not
    /// name layers by digest.
    fn layer_digests(&self) -> Vec<Digest> {
        Vec::new()
    }

    /// Writes the config `config` and everything that ties it to the layers and to the image's name.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn finish(
        &mut self,
        config: &[u8],
        reference: &Reference,
        platform: &Platform,
    ) -> io::Result<()>;
}

/// Takes in layers for their digests alone.
#[derive(Debug)]
pub struct Discard;

impl LayerSink for Discard {
    fn wants_bytes(&self) -> bool {
        false
    }

    fn begin(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, _: DiffId) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of a base layer as they go into an image: as stored, or unpacked where `unpack` says that
/// readers of the target format may not know its compression. With the bytes come how many they are.
pub(crate) fn layer_bytes(
    layer: &LayerBlob,
    size: u64,
    unpack: impl Fn(Codec) -> bool,
) -> io::Result<(Box<dyn io::Read + Send>, u64, Codec)> {
    let codec = Codec::detect(&layer.bytes)?;
    if unpack(codec) {
        Ok((codec.decode(layer.bytes.clone())?, size, Codec::Plain))
    } else {
        Ok((Box::new(layer.bytes.clone()), layer.bytes.len(), codec))
    }
}

/// The header of a regular file of the image archive itself.
pub(crate) fn member_header(name: &str, size: u64) -> Vec<u8> {
    let folder = std::path::Path::new("").into();
    let content = FileContent { folder, size, modified: (0, 0), changed: (0, 0), inode: 0 };
    let mut out = Vec::with_capacity(header::BLOCK as usize);
    header::encode(name.as_bytes(), 0o644, &Kind::File(content), &Attributes::default(), &mut out);
    out
}

/// The header of a directory of the image archive itself.
pub(crate) fn folder_header(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(header::BLOCK as usize);
    header::encode(name.as_bytes(), 0o755, &Kind::Directory, &Attributes::default(), &mut out);
    out
}

/// Writes a whole member.
pub(crate) fn write_member(output: &mut dyn Write, name: &str, content: &[u8]) -> io::Result<()> {
    output.write_all(&member_header(name, content.len() as u64))?;
    output.write_all(content)?;
    write_padding(output, content.len() as u64)
}

/// Fills a member of `size` bytes up to whole blocks.
pub(crate) fn write_padding(output: &mut dyn Write, size: u64) -> io::Result<()> {
    output.write_all(&[0; header::BLOCK as usize][..header::padding(size) as usize])
}

/// Copies `source` to `output`, telling failures to read from failures to write.
pub(crate) fn copy(
    mut source: impl io::Read,
    from: &str,
    output: &mut dyn Write,
    mut seen: impl FnMut(&[u8]),
) -> Result<u64, ArchiveError> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let count = source.read(&mut buffer).map_err(ArchiveError::read(from))?;
        if count == 0 {
            return Ok(total);
        }
        seen(&buffer[..count]);
        output.write_all(&buffer[..count]).map_err(write_failed)?;
        total += count as u64;
    }
}

/// Copies the bytes `source` of a base image's layer, and makes sure that they are still those that were
/// verified.
pub(crate) fn copy_layer(
    layer: &LayerBlob,
    source: impl io::Read,
    output: &mut dyn Write,
    seen: impl FnMut(&[u8]),
) -> Result<u64, ArchiveError> {
    let count = copy(source, &layer.place, output, seen)?;
    match layer.bytes.is_unchanged().map_err(ArchiveError::read(&layer.place))? {
        true => Ok(count),
        false => Err(ArchiveError::Changed(layer.place.clone().into())),
    }
}

/// A failure to write the image; who knows the output's name puts it in.
pub(crate) fn write_failed(source: io::Error) -> ArchiveError {
    ArchiveError::Write { target: "the image".to_owned(), source }
}
