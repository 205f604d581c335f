//! The images of other recipes that an image is built from, as the stages of a Dockerfile.
//!
//! They are built while the image above them is planned, because its files lie on theirs: their
//! steps run, and their layers get their digests. The layers themselves are written later, by the
//! writer of the whole image and exactly as if the recipe were built alone. Until then, only what
//! reads them makes them: a step above, or a copy of a file.

mod built;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use self::built::BuiltImage;
use super::BuildError;
use super::inputs::{Base, Outputs};
use super::plan::{self, Plan, PlanOptions, Stage, Stages};
use super::recipe::{NamedRecipes, Recipe};
use super::write::describe;
use crate::steps::StepEvent;
use crate::text;

/// Plans the image of `recipe`. Of the inputs, only names and metadata are read, except for base
/// images, which are read and verified on `threads` threads. `outputs` are the files that the
/// caller is going to write; they are not in the image, and neither are those that builds of the
/// recipe have written by default.
///
/// # Errors
/// If an input is missing or invalid, or the image cannot be built as the recipe describes it.
pub fn plan(recipe: Recipe, outputs: &Outputs, threads: usize) -> Result<Plan, BuildError> {
    let outputs = outputs.clone();
    plan_with(recipe, &PlanOptions { outputs, threads, ..PlanOptions::default() })
}

/// Like [`plan()`], with more options. The images of other recipes that the image is built from are
/// built, which runs their steps.
///
/// # Errors
/// As [`plan()`], and if one of these images cannot be built.
pub fn plan_with(recipe: Recipe, options: &PlanOptions) -> Result<Plan, BuildError> {
    let named = NamedRecipes::of(&recipe)?;
    let mut builder = Builder { options, recipe: &recipe, named: &named, built: BTreeMap::new() };
    plan::plan(recipe.clone(), options, &mut builder)
}

/// Builds the recipes of a build, each once.
struct Builder<'b> {
    options: &'b PlanOptions,
    /// The recipe of the whole image.
    recipe: &'b Recipe,
    /// The recipes that it is built from.
    named: &'b NamedRecipes,
    /// The images of these that are built, by number.
    built: BTreeMap<usize, Arc<BuiltImage>>,
}

impl Stages for Builder<'_> {
    fn recipes(&self) -> Vec<&Recipe> {
        std::iter::once(self.recipe).chain(self.named.iter()).collect()
    }

    fn build(&mut self, user: &Recipe, key: &str, path: &Path) -> Result<Stage, BuildError> {
        let number = self.named.position(user, path);
        let known = number.and_then(|number| Some((number, self.named.get(number)?)));
        let Some((number, recipe)) = known else {
            let problem = format!("{key}: {} was not read", text::path(path));
            return Err(BuildError::recipe(&user.path, problem));
        };
        let built = match self.built.get(&number) {
            Some(built) => Arc::clone(built),
            None => {
                let built = self.built_image(recipe);
                let built = built.map_err(|error| error.of_stage(&recipe.path));
                let built = Arc::new(built?);
                self.built.insert(number, Arc::clone(&built));
                built
            }
        };
        let plan = Arc::clone(&built.plan);
        Ok(Stage { image: Base::of_recipe(built.image.clone(), built), plan })
    }
}

impl Builder<'_> {
    /// Builds the image of `recipe`, except that its layers are not written.
    fn built_image(&mut self, recipe: &Recipe) -> Result<BuiltImage, BuildError> {
        let options = self.options;
        let plan = plan::plan(recipe.clone(), options, self)?;
        if !recipe.steps.is_empty() {
            options.steps.notify(StepEvent::Recipe(&text::path(&recipe.path)));
        }
        let described = describe(&plan, options.threads, options.cache)?;
        Ok(BuiltImage::new(plan, described, options.threads))
    }
}
