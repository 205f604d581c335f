//! Writes a planned image in one pass: base layers, new layers, config and name.

use super::{image_config, reference, tag};
use crate::archive::pipeline::{self, LayerInfo};
use crate::archive::sink::{ImageMetadata, ImageWriter, LayerSink};
use crate::archive::write::write_failed;
use crate::build::BuildError;
use crate::build::cache::DiskCache;
use crate::build::inputs::Base;
use crate::build::plan::Plan;
use crate::build::steps;
use crate::image::{Digest, Summary};

/// The layers of an image that its reader has already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PresentLayers<'a> {
    /// The number of layers, counted from the lowest.
    pub(crate) count: usize,
    /// The new layers of the image, as returned by
    /// [`new_layers`](super::incremental::new_layers).
    pub(crate) new_layers: &'a [LayerInfo],
}

/// Writes the image of `plan` to `writer`, without the layers that are `present`.
pub(super) fn write_image(
    plan: &Plan,
    threads: usize,
    cache: &DiskCache,
    present: PresentLayers<'_>,
    writer: &mut dyn ImageWriter,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, BuildError> {
    tag::check_derivable(plan)?;
    image_config::check_size(plan)?;
    // Before the first byte is written: a step may fail.
    let step_layers = plan.step_layers(threads, cache)?;
    let mut diff_ids = plan.base_layers();
    let mut sizes = match &plan.base {
        Some(base) => write_base(base, present.count, writer)?,
        None => Vec::new(),
    };
    let base_layers = diff_ids.len();
    let present_new = present.count.saturating_sub(base_layers).min(present.new_layers.len());
    let mut new_layers = present.new_layers[..present_new].to_vec();
    let present_planned = present_new.min(plan.layers.len());
    let sources = plan.sources(&plan.layers[present_planned..]);
    let sink: &mut dyn LayerSink = writer;
    new_layers.extend(pipeline::run(sources, threads, cache, sink, progress)?);
    for layer in step_layers.iter().skip(present_new - present_planned) {
        steps::write_layer(layer, cache, writer)?;
        new_layers.push(steps::info(layer));
    }
    cache.prune();
    diff_ids.extend(new_layers.iter().map(|layer| layer.diff_id));
    sizes.extend(new_layers.iter().map(|layer| layer.size));
    let (config, raw_config) = image_config::image_config(plan, &diff_ids)?;
    let metadata = ImageMetadata {
        references: reference::of_layers(plan, &new_layers)?,
        platform: plan.platform.clone(),
        annotations: plan.annotations(),
    };
    let blobs: Vec<_> = writer.layer_digests().into_iter().map(Some).collect();
    writer.finish(&raw_config, &metadata).map_err(write_failed)?;
    let id = Digest::of(&raw_config);
    let references: Vec<String> = metadata.references.iter().map(ToString::to_string).collect();
    let mut summary = Summary::new(&config, id, &references, &sizes, &blobs);
    for (index, layer) in summary.layers.iter_mut().enumerate() {
        layer.contents.base = index < base_layers;
    }
    Ok(summary)
}

/// Copies the layers of `base` without the `present` lowest ones, and returns the sizes of all.
fn write_base(
    base: &Base,
    present: usize,
    writer: &mut dyn ImageWriter,
) -> Result<Vec<u64>, BuildError> {
    let layers = &base.image.layers;
    let sizes = match layers.iter().any(|layer| writer.needs_base_size(layer)) {
        true => base.sizes()?.to_vec(),
        false => layers.iter().map(|layer| layer.bytes.len()).collect(),
    };
    for (layer, size) in layers.iter().zip(&sizes).skip(present) {
        writer.copy_layer(layer, *size)?;
    }
    Ok(sizes)
}
