//! Helpers of the image writers: members of the archive itself, and copies of base layers.

use std::io::{self, Read, Write};
use std::path::Path;

use super::ArchiveError;
use super::blob::LayerBlob;
use super::decompress::Codec;
use super::entry::{Attributes, Entry, FileContent, HostFile, Kind};
use super::header;
use super::host::Filesystem;

/// The bytes of a base layer as they go into an image, their number and their compression: as
/// stored, or decompressed if `decompress` returns true because readers of the target format may
/// not support the layer's compression.
pub(crate) fn layer_bytes(
    layer: &LayerBlob,
    size: u64,
    decompress: impl Fn(Codec) -> bool,
) -> io::Result<(Box<dyn Read + Send>, u64, Codec)> {
    let codec = Codec::detect(&layer.bytes)?;
    if decompress(codec) {
        Ok((codec.decode(layer.bytes.clone())?, size, Codec::Plain))
    } else {
        Ok((Box::new(layer.bytes.clone()), layer.bytes.len(), codec))
    }
}

/// The header of a regular file of the image archive itself.
pub(crate) fn member_header(name: &str, size: u64) -> Vec<u8> {
    let folder = Path::new("").into();
    let filesystem = Filesystem::default();
    let (modified, changed) = ((0, 0), (0, 0));
    let file = HostFile { folder, name: None, size, modified, changed, inode: 0, filesystem };
    let entry = Entry::new(name.as_bytes(), 0o644, Kind::File(FileContent::Host(file)));
    let mut out = Vec::with_capacity(header::BLOCK as usize);
    header::encode(&entry, &Attributes::default(), &mut out);
    out
}

/// The header of a directory of the image archive itself.
pub(crate) fn folder_header(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(header::BLOCK as usize);
    let entry = Entry::new(name.as_bytes(), 0o755, Kind::Directory);
    header::encode(&entry, &Attributes::default(), &mut out);
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

/// Copies `source`, which errors call `name`, to `output`, and passes every chunk to `inspect`. The
/// error is [`ArchiveError::Read`] or [`ArchiveError::Write`], depending on the side that failed.
pub(crate) fn copy(
    mut source: impl Read,
    name: &str,
    output: &mut dyn Write,
    mut inspect: impl FnMut(&[u8]),
) -> Result<u64, ArchiveError> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let count = source.read(&mut buffer).map_err(ArchiveError::read(name))?;
        if count == 0 {
            return Ok(total);
        }
        inspect(&buffer[..count]);
        output.write_all(&buffer[..count]).map_err(write_failed)?;
        total += count as u64;
    }
}

/// Copies the bytes `source` of a base image's layer, and checks that the file has not changed
/// since the layer was verified.
pub(crate) fn copy_layer(
    layer: &LayerBlob,
    source: impl Read,
    output: &mut dyn Write,
    inspect: impl FnMut(&[u8]),
) -> Result<u64, ArchiveError> {
    let count = copy(source, &layer.name, output, inspect)?;
    match layer.bytes.is_unchanged().map_err(ArchiveError::read(&layer.name))? {
        true => Ok(count),
        false => Err(ArchiveError::Changed(layer.name.clone().into())),
    }
}

/// A failure to write the image; callers that know the output's name replace the target.
pub(crate) fn write_failed(source: io::Error) -> ArchiveError {
    ArchiveError::Write { target: "the image".to_owned(), source }
}
