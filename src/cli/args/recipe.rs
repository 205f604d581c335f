//! The recipe, and how it is built.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Once;

#[cfg(feature = "registry")]
use super::RegistryArgs;
#[cfg(feature = "registry")]
use super::registry::HEADING as REGISTRIES;
use super::{LimitArgs, thread_count};
use crate::archive::{ArchiveError, Limits};
#[cfg(feature = "registry")]
use crate::build::LockUse;
use crate::build::{CacheUse, Overrides, Plan, Recipe, cache_problem, plan};
#[cfg(feature = "registry")]
use crate::cli::exit::UsageError;
use crate::cli::images::Access;
use crate::cli::steps;
use crate::cli::streams::messages;
use crate::document;
#[cfg(feature = "registry")]
use crate::image::RemoteReference;
use crate::image::{Name, Platform, Tag};

/// The arguments of every command that reads a recipe.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RecipeArgs {
    /// Recipe, TOML or JSON; `-` for standard input
    #[arg(value_name = "RECIPE")]
    pub(in crate::cli) recipe: PathBuf,

    /// Tag that replaces the tags of the recipe; may be repeated
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,

    /// Repository name that replaces the name of the recipe
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,

    /// Number of threads; does not change the output [default: NIX_BUILD_CORES, or one
    /// per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Do not read or write the cache of layers and of blobs of registries
    #[arg(long, conflicts_with = "verify")]
    no_cache: bool,

    /// Ignore cached digests: read and hash everything again
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    limits: LimitArgs,

    /// Fail if a base image in a registry is not in seatrial.lock
    #[cfg(feature = "registry")]
    #[arg(long, help_heading = REGISTRIES)]
    locked: bool,

    #[cfg(feature = "registry")]
    #[command(flatten)]
    registry: RegistryArgs,
}

impl RecipeArgs {
    /// How the layer cache is used. Prints a warning if it cannot be used.
    pub(in crate::cli) fn cache(&self) -> CacheUse {
        if !self.no_cache {
            warn_of_cache_problem();
        }
        match (self.no_cache, self.verify) {
            (true, _) => CacheUse::Off,
            (false, true) => CacheUse::Verify,
            (false, false) => CacheUse::On,
        }
    }

    /// Access to the base image of the recipe, and to other images.
    pub(in crate::cli) fn access(&self) -> Access<'_> {
        #[cfg(feature = "registry")]
        return Access::new(&self.registry, !self.no_cache);
        #[cfg(not(feature = "registry"))]
        Access::new()
    }

    /// Like [`access`](Self::access), with the user name and password of the arguments only for the
    /// registries of `targets`, if there are any.
    #[cfg(feature = "registry")]
    pub(in crate::cli) fn access_for(&self, targets: &[RemoteReference]) -> Access<'_> {
        Access::for_targets(&self.registry, targets, !self.no_cache)
    }

    pub(in crate::cli) fn threads(&self) -> usize {
        thread_count(self.threads)
    }

    /// Reads the recipe; if it has several platforms, for the host's.
    pub(in crate::cli) fn read(&self) -> anyhow::Result<Recipe> {
        Ok(self.read_with_text(&Platform::host())?.0)
    }

    /// Reads the recipes for all platforms.
    pub(in crate::cli) fn read_all(&self) -> anyhow::Result<Vec<Recipe>> {
        let (name, text) = self.text()?;
        let recipes = Recipe::parse_all(name, &text, &self.overrides())?;
        Ok(recipes.into_iter().map(|recipe| self.with_settings(recipe)).collect())
    }

    /// Plans the image of `recipe`, whose base is read with `access`.
    pub(in crate::cli) fn plan_recipe(
        &self,
        recipe: Recipe,
        access: &Access<'_>,
    ) -> anyhow::Result<Plan> {
        let plan = plan(access.for_recipe(recipe)?, self.threads())?;
        Ok(steps::prepare(plan))
    }

    /// Plans the images of all platforms of the recipe.
    pub(in crate::cli) fn plan_all(&self) -> anyhow::Result<Vec<Plan>> {
        let access = self.access();
        self.read_all()?.into_iter().map(|recipe| self.plan_recipe(recipe, &access)).collect()
    }

    /// Plans the recipe's image; if it has several platforms, the image for `platform`.
    pub(in crate::cli) fn plan(&self, platform: &Platform) -> anyhow::Result<Plan> {
        self.plan_recipe(self.read_with_text(platform)?.0, &self.access())
    }

    /// Plans like [`plan`](Self::plan), for a command that writes no lock files.
    pub(in crate::cli) fn plan_reading(&self, platform: &Platform) -> anyhow::Result<Plan> {
        Ok(self.plan_reading_with_text(platform)?.0)
    }

    /// Plans like [`plan_reading`](Self::plan_reading), and returns the recipe's text too.
    pub(in crate::cli) fn plan_reading_with_text(
        &self,
        platform: &Platform,
    ) -> anyhow::Result<(Plan, String)> {
        let (recipe, text) = self.read_with_text(platform)?;
        Ok((self.plan_recipe(recipe, &self.access().reading())?, text))
    }

    fn read_with_text(&self, platform: &Platform) -> anyhow::Result<(Recipe, String)> {
        let (name, text) = self.text()?;
        let recipe = Recipe::parse_for(name, &text, platform, &self.overrides())?;
        Ok((self.with_settings(recipe), text))
    }

    /// The limits, as arguments.
    pub(in crate::cli) fn limit_args(&self) -> LimitArgs {
        self.limits
    }

    /// The limits within which images are read.
    pub(in crate::cli) fn limits(&self) -> Limits {
        self.limits.limits()
    }

    /// The name and tags that replace those of the recipe.
    pub(in crate::cli) fn overrides(&self) -> Overrides {
        Overrides { name: self.name.clone(), tags: self.tag.clone() }
    }

    /// Whether base images must be locked already.
    #[cfg(feature = "registry")]
    pub(in crate::cli) fn is_locked(&self) -> bool {
        self.locked
    }

    fn with_settings(&self, recipe: Recipe) -> Recipe {
        let recipe = Recipe { limits: self.limits(), ..recipe };
        #[cfg(feature = "registry")]
        let recipe = match self.locked {
            true => Recipe { lock_use: LockUse::Require, ..recipe },
            false => recipe,
        };
        recipe
    }

    /// Returns the recipe's text, and how messages name the recipe.
    fn text(&self) -> anyhow::Result<(&Path, String)> {
        let is_stdin = self.recipe == Path::new("-");
        #[cfg(feature = "registry")]
        if is_stdin && self.registry.reads_stdin() {
            let problem = "standard input cannot be both the recipe and the password; name the \
                           recipe's file";
            return Err(UsageError(problem).into());
        }
        let (name, text) = match is_stdin {
            true => {
                let text = document::read_text(std::io::stdin(), document::MAX_SIZE);
                (Path::new("standard input"), text)
            }
            false => (&*self.recipe, document::read(&self.recipe, document::MAX_SIZE)),
        };
        Ok((name, text.map_err(ArchiveError::read(name))?))
    }
}

/// Prints a warning, once, if the layer cache cannot be used.
pub(in crate::cli) fn warn_of_cache_problem() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        if let Some(problem) = cache_problem() {
            // The build goes on, whether this can be printed or not.
            let _ = writeln!(messages(), "warning: {problem}; going on without a cache");
        }
    });
}

/// Whether `path` is a recipe rather than an image.
pub(in crate::cli) fn is_recipe(path: &Path) -> bool {
    path == Path::new("-")
        || path.extension().is_some_and(|extension| extension == "toml" || extension == "json")
}
