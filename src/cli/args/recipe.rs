//! The recipe that a command reads, or a recipe or image.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::BuildArgs;
use crate::archive::ArchiveError;
use crate::build::{Outputs, Plan, Recipe};
#[cfg(any(feature = "registry", feature = "vm"))]
use crate::cli::exit::UsageError;
use crate::cli::images::Access;
use crate::cli::output::only_streams;
use crate::cli::streams::messages;
use crate::image::Platform;
use crate::{document, text};

/// The arguments of every command that reads a recipe.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct RecipeArgs {
    /// Recipe, TOML or JSON; `-` for standard input
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,

    #[command(flatten)]
    pub(in crate::cli) build: BuildArgs,
}

impl RecipeArgs {
    /// Reads the recipe for the `selected` platform; else, if it has several, for the host's.
    pub(in crate::cli) fn read(&self, selected: Option<&Platform>) -> anyhow::Result<Recipe> {
        Ok(self.read_with_text(selected, &Platform::host())?.0)
    }

    /// Reads the recipes for the `selected` platforms, or for all.
    pub(in crate::cli) fn read_all(&self, selected: &[Platform]) -> anyhow::Result<Vec<Recipe>> {
        let (name, text) = self.text()?;
        let recipes = Recipe::parse_all(name, &text, &self.build.overrides())?;
        let recipes = Recipe::select(recipes, selected)?;
        Ok(recipes.into_iter().map(|recipe| self.build.with_settings(recipe)).collect())
    }

    /// Plans the images of `recipes`, those for all platforms, for a command that writes `outputs`.
    pub(in crate::cli) fn plan_all(
        &self,
        recipes: Vec<Recipe>,
        outputs: &Outputs,
    ) -> anyhow::Result<Vec<Plan>> {
        let access = self.build.access();
        let plan = |recipe| self.build.plan_recipe(recipe, &access, outputs);
        recipes.into_iter().map(plan).collect()
    }

    /// Plans the recipe's image for the `selected` platform; else, if it has several platforms, the
    /// image for `default`.
    pub(in crate::cli) fn plan(
        &self,
        selected: Option<&Platform>,
        default: &Platform,
    ) -> anyhow::Result<Plan> {
        let recipe = self.read_with_text(selected, default)?.0;
        self.build.plan_recipe(recipe, &self.build.access(), &only_streams())
    }

    /// Plans the image for the `selected` platform, or else for the host's, and notes that the
    /// recipe has others.
    pub(in crate::cli) fn plan_selected(
        &self,
        selected: Option<&Platform>,
        access: &Access<'_>,
    ) -> anyhow::Result<Plan> {
        let (recipe, text) = self.read_with_text(selected, &Platform::host())?;
        let plan = self.build.plan_recipe(recipe, access, &only_streams())?;
        let own = plan.platform();
        let recipes = Recipe::parse_all(self.name(), &text, &self.build.overrides())?;
        let platforms = recipes.iter().filter_map(|recipe| recipe.platform.as_ref());
        let others: Vec<_> = platforms.filter(|platform| *platform != own).collect();
        if recipes.len() > 1 && selected.is_none() && !others.is_empty() {
            let others = text::list(others.iter().map(ToString::to_string));
            writeln!(messages(), "note: this is the image for {own}; --platform selects {others}")?;
        }
        Ok(plan)
    }

    /// Plans like [`plan`](Self::plan), for a command that writes no lock files, and returns the
    /// recipe's text too.
    pub(in crate::cli) fn plan_reading_with_text(
        &self,
        selected: Option<&Platform>,
    ) -> anyhow::Result<(Plan, String)> {
        let (recipe, text) = self.read_with_text(selected, &Platform::host())?;
        let access = self.build.access().reading();
        Ok((self.build.plan_recipe(recipe, &access, &only_streams())?, text))
    }

    /// Reads the recipe for the `selected` platform; else, if it has several, for `default`.
    fn read_with_text(
        &self,
        selected: Option<&Platform>,
        default: &Platform,
    ) -> anyhow::Result<(Recipe, String)> {
        let (name, text) = self.text()?;
        let overrides = self.build.overrides();
        let recipe = match selected {
            Some(platform) => Recipe::parse_selected(name, &text, platform, &overrides)?,
            None => Recipe::parse_for(name, &text, default, &overrides)?,
        };
        Ok((self.build.with_settings(recipe), text))
    }

    /// How messages name the recipe.
    fn name(&self) -> &Path {
        match self.recipe == Path::new("-") {
            true => Path::new("standard input"),
            false => &self.recipe,
        }
    }

    /// Returns the recipe's text, and how messages name the recipe.
    fn text(&self) -> anyhow::Result<(&Path, String)> {
        let is_stdin = self.recipe == Path::new("-");
        #[cfg(feature = "registry")]
        if is_stdin && self.build.registry.reads_stdin() {
            let problem = "standard input cannot be both the recipe and the password; name the \
                           recipe's file";
            return Err(UsageError(problem).into());
        }
        let text = match is_stdin {
            true => document::read_text(std::io::stdin(), document::MAX_SIZE),
            false => document::read(&self.recipe, document::MAX_SIZE),
        };
        Ok((self.name(), text.map_err(ArchiveError::read(self.name()))?))
    }
}

/// The arguments of every command that reads a recipe or an image.
#[cfg(any(feature = "registry", feature = "vm"))]
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct SourceArgs {
    /// Recipe (.toml, .json or `-`), or image as for inspect
    #[arg(index = 1, value_name = "RECIPE|IMAGE")]
    pub(in crate::cli) source: PathBuf,

    #[command(flatten)]
    pub(in crate::cli) build: BuildArgs,
}

#[cfg(any(feature = "registry", feature = "vm"))]
impl SourceArgs {
    /// Returns the arguments of a recipe; `None` for an image. Arguments that only recipes have are
    /// an error for an image: `naming`, if they are those of the name and tag.
    pub(in crate::cli) fn recipe(
        &self,
        naming: &'static str,
    ) -> Result<Option<RecipeArgs>, UsageError> {
        if is_recipe(&self.source) {
            let (recipe, build) = (self.source.clone(), self.build.clone());
            return Ok(Some(RecipeArgs { recipe, build }));
        }
        self.build.check_for_image(naming)?;
        Ok(None)
    }
}

/// Whether `path` is a recipe rather than an image.
pub(in crate::cli) fn is_recipe(path: &Path) -> bool {
    path == Path::new("-")
        || path.extension().is_some_and(|extension| extension == "toml" || extension == "json")
}
