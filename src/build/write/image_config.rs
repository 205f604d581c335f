//! The config document of a planned image.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::archive::image_files::DOCUMENT_MAX;
use crate::archive::write::write_failed;
use crate::build::BuildError;
use crate::build::inputs::Base;
use crate::build::plan::Plan;
use crate::image::{
    DiffId, Digest, History, ImageConfig, Inherit, LayerContents, Platform, RootFs,
};

/// Fields in configs of old images that describe the container they were committed from.
const CONTAINER_FIELDS: [&str; 6] =
    ["container", "container_config", "docker_version", "id", "parent", "throwaway"];

/// The most store paths and packages that the history lists for a layer if the config would be too
/// large otherwise.
const FEW_PATHS: usize = 100;

/// The config of the image of `plan`, whose layers have these diff IDs, lowest first, and its JSON.
///
/// # Errors
/// If it is larger than the configs that readers of images accept, even if the history lists only
/// the first store paths and packages of each layer.
pub(super) fn image_config(
    plan: &Plan,
    diff_ids: &[DiffId],
) -> Result<(ImageConfig, Vec<u8>), BuildError> {
    let mut size = 0;
    for most_paths in [usize::MAX, FEW_PATHS] {
        let config = config_with(plan, diff_ids.to_vec(), most_paths);
        let json = serde_json::to_vec(&config).map_err(|error| write_failed(error.into()))?;
        if json.len() as u64 <= DOCUMENT_MAX {
            return Ok((config, json));
        }
        size = json.len();
    }
    let problem = format!(
        "the image's config would have {size} bytes, but readers of images accept at most {} MiB; \
         make the values in config shorter",
        DOCUMENT_MAX >> 20
    );
    Err(BuildError::recipe(&plan.recipe.path, problem))
}

/// Checks that the config of the image of `plan` is not too large, before its layers are written.
pub(super) fn check_size(plan: &Plan) -> Result<(), BuildError> {
    let (base, new) = plan.layer_counts();
    let layers = base + new + plan.recipe.steps.len();
    image_config(plan, &vec![DiffId(Digest::of(&[])); layers]).map(drop)
}

fn config_with(plan: &Plan, diff_ids: Vec<DiffId>, most_paths: usize) -> ImageConfig {
    let base = plan.base.as_ref();
    let inherits_all = plan.recipe.inherit == Inherit::All;
    let author = base.filter(|_| inherits_all).and_then(|base| base.image.config.author.clone());
    ImageConfig {
        created: Some(plan.created.to_string()),
        author,
        architecture: plan.platform.arch.goarch().to_owned(),
        variant: plan.platform.variant.clone(),
        os: Platform::OS.to_owned(),
        config: plan.config.clone(),
        rootfs: RootFs::new(diff_ids),
        history: history(plan, most_paths),
        extra: inherited_fields(base, inherits_all),
    }
}

/// The base's history, then an entry for each new layer with at most `most_paths` store paths and
/// packages.
fn history(plan: &Plan, most_paths: usize) -> Vec<History> {
    let (base_layers, _) = plan.layer_counts();
    let mut history = plan.base.as_ref().map(Base::history).unwrap_or_default();
    history.extend(
        plan.layers.iter().map(|layer| {
            History::of_layer(plan.created, base_layers, &layer.contents(), most_paths)
        }),
    );
    history.extend(
        plan.recipe
            .steps
            .iter()
            .map(|step| History::of_step(plan.created, base_layers, &step.title())),
    );
    let paths: Vec<String> = plan.steps.store_paths().iter().map(ToString::to_string).collect();
    if !paths.is_empty() {
        let contents = LayerContents { paths, ..LayerContents::default() };
        history.push(History::of_layer(plan.created, base_layers, &contents, most_paths));
    }
    history
}

/// Unknown fields of the base's config: `os.*` always, the others if everything is inherited.
fn inherited_fields(base: Option<&Base>, inherits_all: bool) -> BTreeMap<String, Value> {
    let extra = base.map(|base| base.image.config.extra.clone()).unwrap_or_default();
    let is_inherited =
        |name: &str| !CONTAINER_FIELDS.contains(&name) && (inherits_all || name.starts_with("os."));
    extra.into_iter().filter(|(name, _)| is_inherited(name)).collect()
}
