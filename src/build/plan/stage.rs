//! The images of other recipes that an image is built from.

use std::path::Path;
use std::sync::Arc;

use super::Plan;
use crate::build::BuildError;
use crate::build::inputs::Base;
use crate::build::recipe::Recipe;

/// The image of a recipe, whose steps have run.
#[derive(Debug)]
pub(in crate::build) struct Stage {
    pub(in crate::build) image: Base,
    pub(in crate::build) plan: Arc<Plan>,
}

/// Builds the images of recipes that another recipe names.
pub(in crate::build) trait Stages {
    /// All recipes of the build.
    fn recipes(&self) -> Vec<&Recipe>;

    /// Builds the image of the recipe at `path`, which `user` names with `key`.
    fn build(&mut self, user: &Recipe, key: &str, path: &Path) -> Result<Stage, BuildError>;
}
