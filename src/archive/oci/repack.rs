//! Writes an image that was read as one tar in both formats.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};

use super::write::OciWriter;
use crate::archive::ArchiveError;
use crate::archive::compression::Compression;
use crate::archive::image::Image;
use crate::archive::sink::{ImageMetadata, ImageWriter};
use crate::archive::write::write_failed;
use crate::image::{Platform, Reference};

/// The size of the output's buffer.
const BUFFER_SIZE: usize = 128 << 10;

/// Writes `image`, whose uncompressed layers have `sizes`, to `file` as one tar that is both an OCI
/// layout and a docker-archive, with the name `reference`. Layers and config stay the same, byte
/// for byte.
///
/// # Errors
/// If a layer cannot be read, or `file` cannot be written.
pub(crate) fn repack_dual(
    image: &Image,
    sizes: &[u64],
    reference: &Reference,
    platform: &Platform,
    file: &File,
) -> Result<(), ArchiveError> {
    let output = BufWriter::with_capacity(BUFFER_SIZE, file);
    let mut writer = OciWriter::new(output, Compression::None, 1, true, None);
    for (layer, size) in image.layers.iter().zip(sizes) {
        writer.copy_layer(layer, *size)?;
    }
    let metadata = ImageMetadata {
        references: vec![reference.clone()],
        platform: platform.clone(),
        annotations: BTreeMap::new(),
    };
    writer.finish(&image.raw_config, &metadata).map_err(write_failed)?;
    let (mut output, length) = writer.close().map_err(write_failed)?;
    output.flush().and_then(|()| file.set_len(length)).map_err(write_failed)
}
