//! The image of a plan whose steps have run, described without writing it.

use super::{image_config, reference, tag};
use crate::archive::Compression;
use crate::archive::pipeline::LayerInfo;
use crate::build::cache::DiskCache;
use crate::build::plan::Plan;
use crate::build::steps;
use crate::build::{BuildError, CacheUse};
use crate::image::{ImageConfig, Reference};

/// An image that is not written.
#[derive(Debug)]
pub(in crate::build) struct DescribedImage {
    pub(in crate::build) config: ImageConfig,
    /// The config as it would be written.
    pub(in crate::build) raw_config: Vec<u8>,
    pub(in crate::build) references: Vec<Reference>,
    /// The layers above the base, lowest first: those that are planned, then those of steps.
    pub(in crate::build) new_layers: Vec<LayerInfo>,
}

/// Describes the image of `plan`. Runs its steps, and reads contents that are not cached.
///
/// # Errors
/// If a step fails, or if contents cannot be read, change while they are read, or conflict.
pub(in crate::build) fn describe(
    plan: &Plan,
    threads: usize,
    cache: CacheUse,
) -> Result<DescribedImage, BuildError> {
    tag::check_derivable(plan)?;
    image_config::check_size(plan)?;
    let cache = DiskCache::open(cache, Compression::None);
    let step_layers = plan.step_layers(threads, &cache)?;
    let mut new_layers = plan.planned_layers(threads, &cache)?.to_vec();
    new_layers.extend(step_layers.iter().map(steps::info));
    cache.prune();
    let mut diff_ids = plan.base_layers();
    diff_ids.extend(new_layers.iter().map(|layer| layer.diff_id));
    let (config, raw_config) = image_config::image_config(plan, &diff_ids)?;
    let references = reference::of_layers(plan, &new_layers)?;
    Ok(DescribedImage { config, raw_config, references, new_layers })
}
