//! The archives that go to the VM of a step, and the one that comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use serde_json::json;

use crate::archive::ArchiveError;
use crate::archive::blob::{FileSlice, LayerBlob};
use crate::archive::decompress::{Codec, CountingReader};
use crate::archive::docker::DockerWriter;
use crate::archive::entry::parent_of;
use crate::archive::layer_tree::normalize;
use crate::archive::sink::{ImageMetadata, ImageWriter};
use crate::archive::tar::TarReader;
use crate::archive::write::write_failed;
use crate::image::{DiffId, Digest, Platform};
use crate::steps::{LowerLayer, Step, StepError};

/// An image in a docker-archive.
pub(super) struct ImageArchive {
    pub(super) file: File,
}

/// The paths of a tar that are not changes of the step.
pub(super) type Skipped = BTreeSet<Box<[u8]>>;

/// Writes an image with `layers`, of which the lowest `present` are left out.
pub(super) fn image(
    layers: &[LowerLayer<'_>],
    present: usize,
    architecture: &str,
) -> Result<ImageArchive, StepError> {
    let file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let mut writer = DockerWriter::new(BufWriter::with_capacity(128 << 10, &file));
    (0..present).for_each(|_| writer.add_absent_layer());
    for layer in &layers[present..] {
        let bytes = (layer.open)()?;
        let size = uncompressed_size(&bytes).map_err(ArchiveError::temporary_file)?;
        let (digest, media_type, diff_id) = (None, None, layer.diff_id);
        let name = format!("layer {diff_id}");
        writer.copy_layer(&LayerBlob { bytes, digest, media_type, diff_id, name }, size)?;
    }
    let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id).collect();
    let name = image_name(&diff_ids);
    let config = json!({
        "architecture": architecture,
        "config": {},
        "os": Platform::OS,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let reference = name.parse().map_err(|_| ArchiveError::WorkerLost)?;
    let (references, platform) = (vec![reference], Platform::host());
    let metadata = ImageMetadata { references, platform, annotations: BTreeMap::new() };
    writer.finish(config.to_string().as_bytes(), &metadata).map_err(write_failed)?;
    drop(writer);
    Ok(ImageArchive { file: rewound(file)? })
}

/// The name of the image below a step in the engine.
pub(super) fn image_name(diff_ids: &[DiffId]) -> String {
    let text: String = diff_ids.iter().map(ToString::to_string).collect();
    format!("seatrial-step:{}", &Digest::of(text.as_bytes()).hex()[..32])
}

/// The size of a layer's uncompressed tar.
fn uncompressed_size(bytes: &FileSlice) -> io::Result<u64> {
    match Codec::detect(bytes)? {
        // It goes into the archive as it is.
        Codec::Plain | Codec::Gzip => Ok(bytes.len()),
        codec => io::copy(&mut codec.decode(bytes.clone())?, &mut io::sink()),
    }
}

/// Writes a tar with the inputs of `step`, at their targets.
pub(super) fn inputs(step: &Step) -> Result<Option<File>, StepError> {
    if step.inputs.is_empty() {
        return Ok(None);
    }
    let file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let mut builder = tar::Builder::new(BufWriter::with_capacity(128 << 10, &file));
    builder.mode(tar::HeaderMode::Deterministic);
    builder.follow_symlinks(false);
    for input in &step.inputs {
        let source = input.source.canonicalize().map_err(ArchiveError::read(&input.source))?;
        let added = match source.is_dir() {
            true => builder.append_dir_all(&input.target, &source),
            false => builder.append_path_with_name(&source, &input.target),
        };
        added.map_err(ArchiveError::read(&source))?;
    }
    let finished = builder.into_inner().and_then(|mut output| output.flush());
    finished.map_err(ArchiveError::temporary_file)?;
    Ok(Some(rewound(file)?))
}

fn rewound(mut file: File) -> Result<File, StepError> {
    file.rewind().map_err(ArchiveError::temporary_file)?;
    Ok(file)
}

/// A reader of `tar` from its beginning.
pub(super) fn reader(tar: &File) -> io::Result<CountingReader<FileSlice>> {
    Ok(CountingReader::new(FileSlice::whole(tar.try_clone()?)?))
}

/// The folders in the changes within `tar` that exist only for the inputs of `step`: those above an
/// input with nothing else in them.
pub(super) fn mount_points(tar: &mut File, step: &Step) -> io::Result<Skipped> {
    let mut skipped = Skipped::new();
    for input in &step.inputs {
        let mut path: Box<[u8]> = input.target.as_bytes().into();
        while !path.is_empty() {
            path = parent_of(&path).into();
            skipped.insert(path.clone());
        }
    }
    let mut outer = TarReader::new(reader(tar)?);
    outer.next_member()?;
    let mut changes = TarReader::new(CountingReader::new(outer));
    while let Some(member) = changes.next_member()? {
        let path = normalize(&member.path).unwrap_or_default();
        if !skipped.contains(&path) {
            let mut above = parent_of(&path);
            while !above.is_empty() {
                skipped.remove(above);
                above = parent_of(above);
            }
        }
    }
    Ok(skipped)
}
