//! The layers of an image as plain tars.

use std::fs::File;

use crate::archive::ArchiveError;
use crate::archive::blob::{FileSlice, LayerBlob};
use crate::archive::decompress::Codec;
use crate::archive::image::Image;
use crate::archive::limits::Budget;
use crate::archive::verify::{check, for_each_layer, invalid_layer};
use crate::archive::write;
use crate::image::Digest;
use crate::image::digest::Hasher;

/// The layers of `image`, lowest first, with their diff IDs checked. Compressed ones are
/// decompressed into unnamed temporary files.
pub(super) fn layers(image: &Image, threads: usize) -> Result<Vec<FileSlice>, ArchiveError> {
    for_each_layer(image, threads, plain)
}

fn plain(image: &Image, blob: &LayerBlob, budget: &Budget) -> Result<FileSlice, ArchiveError> {
    let invalid = |error| invalid_layer(image, blob, error);
    let codec = Codec::detect(&blob.bytes).map_err(invalid)?;
    if codec == Codec::Plain {
        let found = Digest::of_reader(blob.bytes.clone()).map_err(invalid)?;
        check(image, blob, blob.diff_id.0, found)?;
        return Ok(blob.bytes.clone());
    }
    let mut file: File = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let decoder = codec.decode(blob.bytes.clone()).map_err(invalid)?;
    let (source, mut hasher) = (budget.reader(decoder), Hasher::default());
    let copied = write::copy(source, "", &mut file, |bytes| hasher.update(bytes));
    copied.map_err(|error| match error {
        ArchiveError::Read { source, .. } => invalid_layer(image, blob, source),
        ArchiveError::Write { source, .. } => ArchiveError::temporary_file(source),
        other => other,
    })?;
    check(image, blob, blob.diff_id.0, hasher.finish())?;
    FileSlice::whole(file).map_err(ArchiveError::temporary_file)
}
