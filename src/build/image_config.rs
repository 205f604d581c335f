//! The config document of a planned image.

use std::collections::BTreeMap;

use serde_json::Value;

use super::base::Base;
use super::plan::Plan;
use crate::image::{DiffId, History, ImageConfig, Inherit, Platform, RootFs};

/// Fields in configs of old images that describe the container they were committed from.
const CONTAINER_FIELDS: [&str; 6] =
    ["container", "container_config", "docker_version", "id", "parent", "throwaway"];

/// The config of the image of `plan`, whose layers have these diff IDs, lowest first.
pub(super) fn image_config(plan: &Plan, diff_ids: Vec<DiffId>) -> ImageConfig {
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
        history: history(plan),
        extra: inherited_fields(base, inherits_all),
    }
}

/// The base's history, then an entry for each new layer.
fn history(plan: &Plan) -> Vec<History> {
    let (base_layers, _) = plan.layer_counts();
    let mut history = plan.base.as_ref().map(Base::history).unwrap_or_default();
    history.extend(plan.layers.iter().map(|layer| {
        let paths: Vec<String> = layer.paths.iter().map(ToString::to_string).collect();
        History::of_layer(plan.created, base_layers, &paths)
    }));
    history.extend(
        plan.recipe
            .steps
            .iter()
            .map(|step| History::of_step(plan.created, base_layers, &step.title())),
    );
    history
}

/// Unknown fields of the base's config: `os.*` always, the others if everything is inherited.
fn inherited_fields(base: Option<&Base>, inherits_all: bool) -> BTreeMap<String, Value> {
    let extra = base.map(|base| base.image.config.extra.clone()).unwrap_or_default();
    let is_inherited =
        |name: &str| !CONTAINER_FIELDS.contains(&name) && (inherits_all || name.starts_with("os."));
    extra.into_iter().filter(|(name, _)| is_inherited(name)).collect()
}
