//! The plan of a build: everything that can be known, and every mistake that can be found, before
//! the contents of files are read. Above all, what goes into which layer.
//!
//! Layers are listed on demand, from metadata, by `place` and `merge`. Of contents, only the
//! databases of package managers are read. Neither tars nor digests are made here.

mod assignment;
mod layers;
mod listing;
mod options;
mod packages;
mod planning;
mod split;
mod stage;
mod step_settings;
mod step_state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::build::BuildError;
use crate::build::inputs::{Base, Content, ImageAccounts, KnownOutputs, Notices, PlannedPath};
use crate::build::recipe::{AnnotatedBase, Recipe};
use crate::closure::Closure;
use crate::image::{ContainerConfig, DiffId, Platform, Timestamp};
use crate::sbom::BaseImage;
use crate::text;

use assignment::Assignment;
pub use layers::{LayerOutline, read_path_graph};
pub use options::PlanOptions;
pub(super) use planning::plan;
pub(super) use split::PlannedLayer;
pub(super) use stage::{Stage, Stages};
pub use step_settings::StepSettings;
pub(super) use step_state::MadeLayers;
use step_state::StepState;

/// A build that is ready to run.
#[derive(Debug)]
pub struct Plan {
    pub(super) recipe: Recipe,
    pub(super) base: Option<Base>,
    /// The plan of the base, if that is built from a recipe.
    pub(super) base_plan: Option<Arc<Plan>>,
    /// The images that contents are from.
    pub(super) images: Vec<Base>,
    /// The plans of those that are built from recipes.
    pub(super) image_plans: Vec<Arc<Plan>>,
    pub(super) platform: Platform,
    pub(super) created: Timestamp,
    /// The image's `config`, with what it inherits from the base.
    pub(super) config: ContainerConfig,
    /// The new layers, lowest first.
    pub(super) layers: Vec<PlannedLayer>,
    /// The layers of contents.
    pub(super) assignment: Assignment,
    /// The store paths that the image needs and the base does not have.
    pub(super) closure: Closure,
    pub(super) contents: Vec<Content>,
    pub(super) paths: Vec<PlannedPath>,
    pub(super) accounts: ImageAccounts,
    pub(super) outputs: KnownOutputs,
    pub(super) notices: Notices,
    pub(super) steps: StepState,
}

/// The base's `config`; empty without a base.
pub(super) fn base_config(
    recipe: &Recipe,
    base: Option<&Base>,
) -> Result<Map<String, Value>, BuildError> {
    let config = base.map(|base| serde_json::to_value(&base.image.config.config)).transpose();
    match config.map_err(|error| invalid_config(recipe, &error))? {
        Some(Value::Object(fields)) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

pub(super) fn invalid_config(recipe: &Recipe, error: &serde_json::Error) -> BuildError {
    BuildError::recipe(&recipe.path, format!("config: {error}"))
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

    /// The plans of the images of other recipes that it is built from, and that these are built
    /// from. Each is listed once, after those that it is built from.
    pub(super) fn stages(&self) -> Vec<&Plan> {
        let (mut stages, mut seen) = (Vec::new(), BTreeSet::new());
        self.add_stages(&mut stages, &mut seen);
        stages
    }

    fn add_stages<'p>(&'p self, stages: &mut Vec<&'p Plan>, seen: &mut BTreeSet<*const Plan>) {
        for stage in self.base_plan.iter().chain(&self.image_plans) {
            if seen.insert(Arc::as_ptr(stage)) {
                stage.add_stages(stages, seen);
                stages.push(stage);
            }
        }
    }

    /// Locks the images that the recipe names, once the image is built, and those of recipes that
    /// it is built from.
    pub(super) fn lock_images(&self) -> Result<(), BuildError> {
        let all = self.stages().into_iter().chain([self]);
        all.flat_map(|stage| stage.base.iter().chain(&stage.images)).try_for_each(Base::lock)
    }

    /// The annotations of the image's manifest.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        let base = self.base.as_ref().map(|base| AnnotatedBase {
            reference: base.reference(),
            manifest: base.image.manifest,
        });
        self.recipe.annotations.of_image(base.as_ref(), &self.config)
    }

    /// The platform of the image.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The base image, for bills of materials.
    pub fn base_image(&self) -> Option<BaseImage> {
        let base = self.base.as_ref()?;
        let digest = base.image.manifest.unwrap_or_else(|| base.image.id());
        Some(BaseImage { reference: base.reference(), digest })
    }

    /// Notices about the image, a sentence each, as far as its layers were listed: contents that
    /// were left out, and settings that had no effect. Those about the image of another recipe
    /// begin with its path.
    pub fn notices(&self) -> Vec<String> {
        let of_stage = |stage: &Self| {
            let recipe = text::path(&stage.recipe.path);
            let own = stage.notices.all().into_iter();
            own.map(move |notice| format!("{recipe}: {notice}"))
        };
        let below = self.stages().into_iter().flat_map(of_stage);
        below.chain(self.notices.all()).collect()
    }

    /// The diff IDs of the base's layers, lowest first.
    pub fn base_layers(&self) -> Vec<DiffId> {
        let layers = self.base.iter().flat_map(|base| &base.image.layers);
        layers.map(|layer| layer.diff_id).collect()
    }

    /// The number of the base's layers, and of the new layers. A layer with the store paths that
    /// only steps name is known once these have run.
    pub fn layer_counts(&self) -> (usize, usize) {
        let base = self.base.as_ref().map_or(0, |base| base.image.layers.len());
        let named_by_steps = usize::from(!self.steps.store_paths().is_empty());
        (base, self.layers.len() + self.recipe.steps.len() + named_by_steps)
    }
}
