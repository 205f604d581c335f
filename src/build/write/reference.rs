//! The references of a recipe's image: its name, and each of its tags, or the derived one.

use super::tag;
use crate::archive::pipeline::{self, LayerInfo};
use crate::archive::sink::Discard;
use crate::archive::{ArchiveError, Compression};
use crate::build::cache::DiskCache;
use crate::build::plan::{Plan, PlannedLayer};
use crate::build::{BuildError, CacheUse};
use crate::image::{DiffId, Digest, Reference};
use crate::steps;

/// Computes the references of the image of `plan`, the main one first, without writing it. Contents
/// outside of the store are read if the tag is derived from them.
///
/// # Errors
/// If contents cannot be read, or no tag can be derived.
pub fn references(
    plan: &Plan,
    threads: usize,
    cache: CacheUse,
) -> Result<Vec<Reference>, BuildError> {
    if !plan.recipe.tags.is_empty() {
        return of_diff_ids(plan, &[]);
    }
    tag::check_derivable(plan)?;
    let unnamed: Vec<PlannedLayer> =
        plan.layers.iter().filter(|layer| !layer.only_store_paths).cloned().collect();
    let cache = DiskCache::open(cache, Compression::None);
    let sources = plan.sources(&unnamed);
    let computed = pipeline::run(sources, threads, &cache, &mut Discard, |_| ())?;
    let mut computed = computed.into_iter().map(|layer| layer.diff_id);
    let diff_ids: Vec<Option<DiffId>> = plan
        .layers
        .iter()
        .map(|layer| if layer.only_store_paths { None } else { computed.next() })
        .collect();
    of_diff_ids(plan, &diff_ids)
}

/// The references of the image of `plan`, whose new layers are known.
pub(super) fn of_layers(
    plan: &Plan,
    new_layers: &[LayerInfo],
) -> Result<Vec<Reference>, BuildError> {
    let diff_ids: Vec<_> = new_layers.iter().map(|layer| Some(layer.diff_id)).collect();
    of_diff_ids(plan, &diff_ids)
}

fn of_diff_ids(plan: &Plan, diff_ids: &[Option<DiffId>]) -> Result<Vec<Reference>, BuildError> {
    let given = plan.recipe.references();
    if !given.is_empty() {
        return Ok(given);
    }
    let tag = tag::derived(input_digest(plan, diff_ids)?).ok_or(ArchiveError::WorkerLost)?;
    Ok(vec![Reference { name: plan.recipe.name.clone(), tag }])
}

/// The digest of what the derived tag of `plan` depends on. Of a base that is built from a recipe,
/// that is what its own derived tag would depend on, since its steps may make other layers on
/// another host.
fn input_digest(plan: &Plan, diff_ids: &[Option<DiffId>]) -> Result<Digest, BuildError> {
    let base = plan.base_plan.as_ref().map(|below| {
        // It has been built.
        let layers = below.steps.planned.get().into_iter().flatten();
        input_digest(below, &layers.map(|layer| Some(layer.diff_id)).collect::<Vec<_>>())
    });
    let steps = steps::keys(&plan.complete_steps()?)?;
    let digest = tag::input_digest(plan, diff_ids, &steps, base.transpose()?);
    Ok(digest.ok_or(ArchiveError::WorkerLost)?)
}
