//! Incremental output: an archive without the layers that its reader has already.

use std::io::{BufWriter, Write};

use super::assemble::BUFFER_SIZE;
pub(crate) use super::write_image::PresentLayers;
use super::write_image::write_image;
use crate::archive::Compression;
use crate::archive::docker::DockerWriter;
use crate::archive::pipeline::LayerInfo;
use crate::build::cache::DiskCache;
use crate::build::plan::Plan;
use crate::build::steps;
use crate::build::{BuildError, CacheUse};
use crate::image::Summary;

/// Computes the new layers of `plan` without writing them. Cached layers are not read.
///
/// # Errors
/// If contents cannot be read, change while they are read, or conflict, or if a step fails.
pub(crate) fn new_layers(
    plan: &Plan,
    threads: usize,
    cache: CacheUse,
) -> Result<Vec<LayerInfo>, BuildError> {
    let cache = DiskCache::open(cache, Compression::None);
    let step_layers = plan.step_layers(threads, &cache)?;
    let mut layers = plan.planned_layers(threads, &cache)?.to_vec();
    layers.extend(step_layers.iter().map(steps::info));
    Ok(layers)
}

/// Writes the image of `plan` to `stream`, as a docker-archive without the layers that are
/// `present`.
///
/// # Errors
/// As [`assemble`](super::assemble()).
pub(crate) fn stream_missing_layers(
    plan: &Plan,
    threads: usize,
    cache: CacheUse,
    present: PresentLayers<'_>,
    stream: &mut dyn Write,
) -> Result<Summary, BuildError> {
    let cache = DiskCache::open(cache, Compression::None);
    let mut writer = DockerWriter::new(BufWriter::with_capacity(BUFFER_SIZE, stream));
    (0..present.count).for_each(|_| writer.add_absent_layer());
    let summary = write_image(plan, threads, &cache, present, &mut writer, &mut |_| ())?;
    plan.lock_images()?;
    Ok(summary)
}
