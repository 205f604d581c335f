//! Makes the plan of a build.

use serde_json::{Map, Value};

use super::assignment::Assignment;
use super::split::Split;
use super::step_state::StepState;
use super::{Plan, PlanOptions, Stage, Stages, base_config, invalid_config, split};
use crate::archive::ArchiveError;
use crate::archive::entry::{join, name_of, parent_of};
use crate::archive::resolve::resolve;
use crate::build::BuildError;
use crate::build::inputs::{self, Base, ImageAccounts, ImageReading, KnownOutputs, Notices};
use crate::build::recipe::Recipe;
use crate::build::recipe::files::IMAGE_KEY;
use crate::image::manifest::OciPlatform;
use crate::image::{ContainerConfig, Timestamp, inherit};
use crate::layering::{LayeringError, Strategy};
use crate::lint::lint_mistakes;
use crate::text;

/// Plans the image of `recipe`. Of the inputs, only names and metadata are read, except for base
/// images, which are read and verified, or built by `stages`.
pub(in crate::build) fn plan(
    mut recipe: Recipe,
    options: &PlanOptions,
    stages: &mut dyn Stages,
) -> Result<Plan, BuildError> {
    if let Some(store) = &mut recipe.store {
        // Contents are found to be in the store by their canonical path.
        store.source = store.source.canonicalize().unwrap_or(std::mem::take(&mut store.source));
    }
    let mut contents = inputs::contents(&recipe)?;
    check_named_files(&recipe)?;
    let outputs = KnownOutputs::new(&recipe, stages.recipes(), &contents, &options.outputs);
    let mut notices = Notices::new((recipe.owner.uid, recipe.owner.gid));
    let finished = inputs::finished_layers(&recipe, &notices)?;
    let created = created(&recipe)?;
    let closure = inputs::closure(&recipe, &contents, &notices)?;
    // Pipelines may name packages, too.
    let names_known = recipe.include_store_paths && !recipe.package_layers;
    if let (Strategy::Pipeline(pipeline), true) = (&recipe.layering, names_known) {
        pipeline.check_paths(&closure).map_err(LayeringError::from)?;
    }
    let mut base_plan = None;
    let (base, platform) = inputs::open_base(&recipe, options.threads, |path| {
        let Stage { image, plan } = stages.build(&recipe, "from_image", path)?;
        base_plan = Some(plan);
        Ok(image)
    })?;
    let (threads, cache) = (options.threads, options.cache);
    let reading = ImageReading { threads, cache, platform: &platform, notices: &notices };
    let mut image_plans = Vec::new();
    let images = inputs::open_image_contents(&recipe, &mut contents, &reading, |path| {
        let Stage { image, plan } = stages.build(&recipe, IMAGE_KEY, path)?;
        image_plans.push(plan);
        Ok(image)
    })?;
    match &base {
        Some(base) => {
            follow_links(&mut recipe.replace, base)?;
            notices.set_base_platform(&OciPlatform::from(&base.image.config), &platform);
        }
        None => notices.without_base(&recipe),
    }
    let whole = closure.clone();
    let closure = inputs::missing_in_base(closure, &recipe, base.as_ref())?;
    note_mistakes(&recipe, &notices)?;
    inputs::note_added_certificates(&recipe, &notices);
    let config = config(&recipe, base.as_ref())?;
    let accounts = ImageAccounts::new(&recipe, base.as_ref(), &contents)?;
    inputs::set_owners(&mut contents, &recipe, &accounts)?;
    let paths = inputs::planned_paths(&recipe, &accounts, &finished)?;
    let mut plan = Plan {
        recipe,
        base,
        base_plan,
        images,
        image_plans,
        platform,
        created,
        config,
        layers: Vec::new(),
        assignment: Assignment::default(),
        closure,
        contents,
        paths,
        accounts,
        outputs,
        notices,
        steps: StepState { settings: options.steps.clone(), ..StepState::default() },
    };
    let Split { layers, assignment } = split::split(&plan, &whole, finished)?;
    (plan.layers, plan.assignment) = (layers, assignment);
    Ok(plan)
}

/// Follows the base's symlinks in the parents of the paths in `replace`, as contents do: `/lib/app`
/// is `/usr/lib/app` if the base's `/lib` is a symlink to that. A path that leads nowhere stays.
fn follow_links(replace: &mut [Box<[u8]>], base: &Base) -> Result<(), BuildError> {
    if replace.is_empty() {
        return Ok(());
    }
    let tree = base.tree()?;
    let paths = replace.to_vec();
    // Links that are replaced themselves are not followed.
    let node_at = |path: &[u8]| match paths.iter().any(|replaced| **replaced == *path) {
        true => None,
        false => tree.get(path),
    };
    for path in replace.iter_mut().filter(|path| tree.get(path).is_none()) {
        let Ok(parent) = resolve(parent_of(path), node_at) else { continue };
        let real = join(&parent, name_of(path));
        if tree.get(&real).is_some() {
            *path = real;
        }
    }
    Ok(())
}

/// Checks that the files and folders exist that keys besides `contents` and `from_image` name.
fn check_named_files(recipe: &Recipe) -> Result<(), BuildError> {
    recipe.named_files().try_for_each(|(key, path)| {
        let found = path.metadata().map_err(ArchiveError::read(path));
        found.map(drop).map_err(|error| BuildError::from(error).of_key(&recipe.path, key))
    })
}

/// The recipe's `config`, with what it inherits from the base's.
fn config(recipe: &Recipe, base: Option<&Base>) -> Result<ContainerConfig, BuildError> {
    let base = base_config(recipe, base)?;
    let merged = inherit::merge(&base, &recipe.config, &recipe.inherit)?;
    serde_json::from_value(Value::Object(merged)).map_err(|error| invalid_config(recipe, &error))
}

/// Notes mistakes in the recipe's own `config`. Those that it inherits are not its author's.
fn note_mistakes(recipe: &Recipe, notices: &Notices) -> Result<(), BuildError> {
    let own = inherit::merge(&Map::new(), &recipe.config, &recipe.inherit)?;
    let own = serde_json::from_value(Value::Object(own));
    let own: ContainerConfig = own.map_err(|error| invalid_config(recipe, &error))?;
    lint_mistakes(&own).iter().for_each(|finding| notices.mistake(finding));
    Ok(())
}

/// The recipe's creation date, else `SOURCE_DATE_EPOCH` (reproducible-builds.org), else the
/// default.
fn created(recipe: &Recipe) -> Result<Timestamp, BuildError> {
    if let Some(created) = recipe.created {
        return Ok(created.time());
    }
    let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|epoch| !epoch.is_empty())
    else {
        return Ok(Timestamp::DEFAULT);
    };
    let seconds = epoch.to_str().and_then(|text| text.parse().ok());
    seconds.and_then(|seconds| Timestamp::from_seconds(seconds).ok()).ok_or_else(|| {
        let problem = format!(
            "invalid SOURCE_DATE_EPOCH \"{}\"; expected a number of seconds since 1970",
            text::path(epoch.as_ref())
        );
        BuildError::recipe(&recipe.path, problem)
    })
}
