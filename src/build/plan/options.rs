//! How images are planned, and how the images of recipes are built on the way.

use crate::build::CacheUse;
use crate::build::inputs::Outputs;

use super::step_settings::StepSettings;

/// How an image is planned. The images of other recipes that it is built from are built then, with
/// the same settings.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// The files that the caller is going to write. They are not in the images, and neither are
    /// those that builds of the recipes have written by default.
    pub outputs: Outputs,
    /// The number of threads that read base images.
    pub threads: usize,
    /// How the layer cache is used for the images of other recipes.
    pub cache: CacheUse,
    /// How steps run.
    pub steps: StepSettings,
}

impl Default for PlanOptions {
    fn default() -> Self {
        let (outputs, steps) = (Outputs::default(), StepSettings::default());
        Self { outputs, threads: 1, cache: CacheUse::On, steps }
    }
}
