//! Writes a planned image in one pass: base layers, new layers, config and name.

use super::{image_config, reference, tag};
use crate::archive::ArchiveError;
use crate::archive::blob::LayerBlob;
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
    plan.step_layers(threads, cache)?;
    let mut diff_ids = plan.base_layers();
    let base_layers = diff_ids.len();
    let mut output = LayerOutput { threads, cache, writer, progress };
    let mut sizes = output.base(plan, present.count)?;
    let present_new = present.count.saturating_sub(base_layers).min(present.new_layers.len());
    let mut new_layers = present.new_layers[..present_new].to_vec();
    new_layers.extend(output.new_layers(plan, present_new)?);
    let LayerOutput { writer, .. } = output;
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

/// The layers of an image that are written.
struct LayerOutput<'o> {
    threads: usize,
    cache: &'o DiskCache,
    writer: &'o mut dyn ImageWriter,
    progress: &'o mut dyn FnMut(u64),
}

impl LayerOutput<'_> {
    /// Writes the layers of the base of `plan` without the `present` lowest ones, and returns the
    /// sizes of all.
    fn base(&mut self, plan: &Plan, present: usize) -> Result<Vec<u64>, BuildError> {
        match (&plan.base, &plan.base_plan) {
            (Some(base), Some(below)) => self.built_base(base, below, present),
            (Some(base), None) => self.copied_base(base, present),
            (None, _) => Ok(Vec::new()),
        }
    }

    /// Copies the layers of `base`.
    fn copied_base(&mut self, base: &Base, present: usize) -> Result<Vec<u64>, BuildError> {
        let layers = &base.image.layers;
        let sizes = match layers.iter().any(|layer| self.writer.needs_base_size(layer)) {
            true => base.sizes()?.to_vec(),
            false => layers.iter().map(|layer| layer.bytes.len()).collect(),
        };
        for (layer, size) in layers.iter().zip(&sizes).skip(present) {
            self.writer.copy_layer(layer, *size)?;
        }
        Ok(sizes)
    }

    /// Writes the layers of `base`, the image of the plan `below`, like those of an image that is
    /// written by itself.
    fn built_base(
        &mut self,
        base: &Base,
        below: &Plan,
        present: usize,
    ) -> Result<Vec<u64>, BuildError> {
        let mut sizes = self.base(below, present)?;
        let layers = &base.image.layers[sizes.len()..];
        let present = present.saturating_sub(sizes.len()).min(layers.len());
        let written = self.new_layers(below, present)?;
        let is_other = |(layer, info): (&LayerBlob, &LayerInfo)| layer.diff_id != info.diff_id;
        if layers[present..].iter().zip(&written).any(is_other) {
            return Err(ArchiveError::Changed("the contents of the base image".into()).into());
        }
        sizes.extend(layers.iter().map(|layer| layer.bytes.len()));
        Ok(sizes)
    }

    /// Writes the new layers of `plan` without the `present` lowest ones.
    fn new_layers(&mut self, plan: &Plan, present: usize) -> Result<Vec<LayerInfo>, BuildError> {
        let planned = present.min(plan.layers.len());
        let sources = plan.sources(&plan.layers[planned..]);
        let sink: &mut dyn LayerSink = &mut *self.writer;
        let mut written =
            pipeline::run(sources, self.threads, self.cache, sink, &mut *self.progress)?;
        for layer in plan.step_layers(self.threads, self.cache)?.iter().skip(present - planned) {
            steps::write_layer(layer, self.cache, self.writer)?;
            written.push(steps::info(layer));
        }
        Ok(written)
    }
}
