//! The derived tag, for recipes that give none: a digest of the image's inputs.
//!
//! Store paths count by name, which identifies their content; all other files count by content,
//! through the diff ID of their layer. So the tag is known without writing an image, takes no
//! reading that the build does not do anyway, and is the same on every host. The image's name and
//! the location of the inputs on the host do not count.

use std::path::Path;

use serde_json::{Value, json};

use crate::build::BuildError;
use crate::build::plan::{Plan, PlannedLayer};
use crate::build::recipe::TimeSetting;
use crate::image::{DiffId, Digest, Tag};
use crate::layering::Strategy;
use crate::text;

/// The length of a derived tag in hex digits: collisions are as unlikely as for Nix store paths.
const LENGTH: usize = 32;

/// Checks that a tag can be derived, if the recipe gives none: it must not change with every build.
pub(super) fn check_derivable(plan: &Plan) -> Result<(), BuildError> {
    if !plan.recipe.tags.is_empty() {
        return Ok(());
    }
    if has_changing_times(plan) {
        let problem = "mtime = \"now\" changes the layers with every build, so no tag can be \
                       derived; set a tag";
        return Err(BuildError::recipe(&plan.recipe.path, problem));
    }
    match plan.stages().into_iter().find(|stage| has_changing_times(stage)) {
        Some(stage) => {
            let stage = text::path(&stage.recipe.path);
            let problem = format!(
                "mtime = \"now\" in {stage}, from which the image is built, changes the layers \
                 with every build, so no tag can be derived; set a tag, or another mtime in {stage}"
            );
            Err(BuildError::recipe(&plan.recipe.path, problem))
        }
        None => Ok(()),
    }
}

/// Whether layers of the image of `plan` are dated with the time of the build.
fn has_changing_times(plan: &Plan) -> bool {
    let recipe = &plan.recipe;
    matches!(recipe.mtime, TimeSetting::Now(_))
        && (plan.layers.iter().any(|layer| !layer.only_store_paths) || !recipe.steps.is_empty())
}

/// The tag that the digest of a tag input makes.
pub(super) fn derived(input: Digest) -> Option<Tag> {
    input.hex()[..LENGTH].parse().ok()
}

/// The digest of the tag input of `plan`. `diff_ids` are those of its new layers, lowest first;
/// layers that are identified by store paths need none. `steps` are the digests of what the steps
/// see besides these layers; the layers that they make do not count. `base` is the digest of the
/// tag input of the recipe that the base is built from. Returns `None` if a diff ID is missing.
pub(super) fn input_digest(
    plan: &Plan,
    diff_ids: &[Option<DiffId>],
    steps: &[Digest],
    base: Option<Digest>,
) -> Option<Digest> {
    let mut input = tag_input(plan, diff_ids)?;
    if !steps.is_empty() {
        input["steps"] = steps.iter().map(ToString::to_string).collect();
    }
    if let Some(base) = base {
        input["base"] = json!({ "recipe": base.to_string() });
    }
    Some(Digest::of(input.to_string().as_bytes()))
}

/// The tag input: everything that a derived tag depends on. Derived tags must never change, so
/// neither may the words in here.
fn tag_input(plan: &Plan, diff_ids: &[Option<DiffId>]) -> Option<Value> {
    let layers: Option<Vec<Value>> = plan
        .layers
        .iter()
        .zip(diff_ids)
        .map(|(layer, diff_id)| layer_input(plan, layer, *diff_id))
        .collect();
    let recipe = &plan.recipe;
    // `SOURCE_DATE_EPOCH` counts like a date in the recipe.
    let created = recipe.created.unwrap_or(TimeSetting::At(plan.created));
    let replace: Vec<_> = recipe.replace.iter().map(|path| String::from_utf8_lossy(path)).collect();
    let mut input = json!({
        "architecture": plan.platform.to_string(),
        "base": plan.base.as_ref().map(|base| base.image.id().to_string()),
        "config": plan.config,
        "created": time_input(created),
        "layers": layers?,
        "layout": layering_input(&recipe.layering),
        "mtime": time_input(recipe.mtime),
        "owner": [recipe.owner.uid, recipe.owner.gid],
        "replace": replace,
        "ownerNames": [recipe.owner.uname, recipe.owner.gname],
    });
    // They are in the history.
    let names: Vec<_> = plan.layers.iter().filter_map(|layer| layer.name.as_deref()).collect();
    if !names.is_empty() {
        input["layerNames"] = json!(names);
    }
    if recipe.annotations.are_wanted() {
        input["annotations"] = json!(plan.annotations());
    }
    Some(input)
}

fn layer_input(plan: &Plan, layer: &PlannedLayer, diff_id: Option<DiffId>) -> Option<Value> {
    if !layer.only_store_paths {
        return Some(json!(diff_id?.to_string()));
    }
    let paths: Vec<&str> = layer.paths.iter().map(|path| path.as_str()).collect();
    let contents = if layer.has_contents() { contents_in_store(plan) } else { Vec::new() };
    let dirlinks = plan.recipe.keep_contents_dirlinks;
    Some(json!({ "paths": paths, "contents": contents, "dirlinks": dirlinks }))
}

/// The paths of the contents within the store's folder.
fn contents_in_store(plan: &Plan) -> Vec<String> {
    let store = plan.recipe.store.as_ref();
    let root = store.map_or(Path::new(""), |store| store.source.as_path());
    plan.contents
        .iter()
        .map(|content| content.source.strip_prefix(root).unwrap_or(&content.source))
        .map(|path| path.display().to_string())
        .collect()
}

/// How contents appear in the image; the split into layers is in the layers' own inputs.
fn layering_input(strategy: &Strategy) -> &'static str {
    match strategy {
        Strategy::Single => "single",
        _ => "layered",
    }
}

fn time_input(time: TimeSetting) -> String {
    match time {
        TimeSetting::Now(_) => "now".to_owned(),
        TimeSetting::At(time) => time.to_string(),
    }
}
