//! The plan of a build: everything that can be known, and every mistake that can be found, before
//! the contents of files are read.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use serde_json::{Map, Value};

use super::BuildError;
use super::account_files::ImageAccounts;
use super::base::{self, Base};
use super::inputs::{self, Content, PlannedPath};
use super::notices::Notices;
use super::owners;
use super::recipe::Recipe;
use super::split::{self, PlannedLayer};
use super::step_state::StepState;
use crate::closure::Closure;
use crate::image::{ContainerConfig, DiffId, Platform, Timestamp, inherit};
use crate::layering::{LayeringError, Strategy};
use crate::sbom::BaseImage;
use crate::text;

/// A build that is ready to run.
#[derive(Debug)]
pub struct Plan {
    pub(super) recipe: Recipe,
    pub(super) base: Option<Base>,
    pub(super) platform: Platform,
    pub(super) created: Timestamp,
    /// The image's `config`, with what it inherits from the base.
    pub(super) config: ContainerConfig,
    /// The new layers, lowest first.
    pub(super) layers: Vec<PlannedLayer>,
    /// The store paths that the image needs and the base does not have.
    pub(super) closure: Closure,
    pub(super) contents: Vec<Content>,
    pub(super) paths: Vec<PlannedPath>,
    pub(super) accounts: ImageAccounts,
    pub(super) notices: Notices,
    pub(super) steps: StepState,
}

/// Plans the image of `recipe`. Of the inputs, only names and metadata are read, except for base
/// images, which are read and verified on `threads` threads.
///
/// # Errors
/// If an input is missing or invalid, or the image cannot be built as the recipe describes it.
pub fn plan(mut recipe: Recipe, threads: usize) -> Result<Plan, BuildError> {
    if let Some(store) = &mut recipe.store {
        // Contents are found to be in the store by their canonical path.
        store.source = store.source.canonicalize().unwrap_or(std::mem::take(&mut store.source));
    }
    let mut contents = inputs::contents(&recipe)?;
    let finished = inputs::finished_layers(&recipe)?;
    let created = created(&recipe)?;
    let notices = Notices::new((recipe.owner.uid, recipe.owner.gid));
    let closure = inputs::closure(&recipe, &contents, &notices)?;
    if let (Strategy::Pipeline(pipeline), true) = (&recipe.layering, recipe.include_store_paths) {
        pipeline.check_paths(&closure).map_err(LayeringError::from)?;
    }
    let (base, platform) = base::open_base(&recipe, threads)?;
    let closure = inputs::missing_in_base(closure, &recipe, base.as_ref())?;
    let config = config(&recipe, base.as_ref())?;
    let accounts = ImageAccounts::new(&recipe, base.as_ref(), &contents)?;
    owners::set_owners(&mut contents, &recipe, &accounts)?;
    let paths = owners::paths(&recipe, &accounts, &finished)?;
    let layers = split::layers(&recipe, &closure, &contents, finished, base.as_ref())?;
    Ok(Plan {
        recipe,
        base,
        platform,
        created,
        config,
        layers,
        closure,
        contents,
        paths,
        accounts,
        notices,
        steps: StepState::default(),
    })
}

/// The recipe's `config`, with what it inherits from the base's.
fn config(recipe: &Recipe, base: Option<&Base>) -> Result<ContainerConfig, BuildError> {
    let base = base_config(recipe, base)?;
    let merged = inherit::merge(&base, &recipe.config, &recipe.inherit)?;
    serde_json::from_value(Value::Object(merged)).map_err(|error| invalid_config(recipe, &error))
}

/// The base's `config`; empty without a base.
fn base_config(recipe: &Recipe, base: Option<&Base>) -> Result<Map<String, Value>, BuildError> {
    let config = base.map(|base| serde_json::to_value(&base.image.config.config)).transpose();
    match config.map_err(|error| invalid_config(recipe, &error))? {
        Some(Value::Object(fields)) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

fn invalid_config(recipe: &Recipe, error: &serde_json::Error) -> BuildError {
    BuildError::recipe(&recipe.path, format!("config: {error}"))
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

impl Plan {
    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The base's `config`; empty without a base.
    pub(super) fn base_config(&self) -> Result<Map<String, Value>, BuildError> {
        base_config(&self.recipe, self.base.as_ref())
    }

    /// The annotations of the image's manifest.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        let base = self.base.as_ref().map(|base| &base.image);
        self.recipe.annotations.of_image(base, &self.config)
    }

    /// The platform of the image.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The base image, for bills of materials.
    pub fn base_image(&self) -> Option<BaseImage> {
        let base = self.base.as_ref().map(|base| &base.image)?;
        let digest = base.manifest.unwrap_or_else(|| base.id());
        Some(BaseImage { reference: base.references.first().cloned(), digest })
    }

    /// Leaves the file `output`, which the build is going to write, out of the contents.
    pub fn leave_out(&mut self, output: &std::fs::Metadata) {
        self.notices.add_output((output.dev(), output.ino()));
    }

    /// Notices about the image, a sentence each, as far as its layers were listed: contents that
    /// were left out, and settings that had no effect.
    pub fn notices(&self) -> Vec<String> {
        self.notices.all()
    }

    /// The diff IDs of the base's layers, lowest first.
    pub fn base_layers(&self) -> Vec<DiffId> {
        let layers = self.base.iter().flat_map(|base| &base.image.layers);
        layers.map(|layer| layer.diff_id).collect()
    }

    /// The number of the base's layers, and of the new layers.
    pub fn layer_counts(&self) -> (usize, usize) {
        let base = self.base.as_ref().map_or(0, |base| base.image.layers.len());
        (base, self.layers.len() + self.recipe.steps.len())
    }
}
