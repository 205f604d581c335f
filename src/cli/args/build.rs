//! How a recipe is built.

use std::io::Write;
use std::sync::Once;

#[cfg(feature = "registry")]
use super::RegistryArgs;
#[cfg(feature = "registry")]
use super::registry::HEADING as REGISTRIES;
use super::{LimitArgs, number, thread_count};
use crate::archive::Limits;
#[cfg(feature = "registry")]
use crate::build::LockUse;
use crate::build::{
    CacheUse, Outputs, Overrides, Plan, PlanOptions, Recipe, cache_problem, plan_with,
};
#[cfg(any(feature = "registry", feature = "vm"))]
use crate::cli::exit::UsageError;
use crate::cli::images::Access;
use crate::cli::output::only_streams;
use crate::cli::steps;
use crate::cli::streams::messages;
#[cfg(feature = "registry")]
use crate::image::RemoteReference;
use crate::image::{Name, Tag};

/// The arguments of commands that read a recipe, besides the recipe.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct BuildArgs {
    /// Tag that replaces the tags of the recipe; may be repeated
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,

    /// Repository name that replaces the name of the recipe
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,

    /// Number of threads; does not change the output [default: NIX_BUILD_CORES, or one
    /// per core]
    #[arg(long, value_name = "N", value_parser = number::<u16>(1, 256))]
    threads: Option<u16>,

    /// Do not read or write the cache of layers and of blobs of registries
    #[arg(long, conflicts_with_all = ["verify", "refresh"])]
    no_cache: bool,

    /// Run steps again, and replace their layers in the cache
    #[arg(long, conflicts_with = "verify")]
    refresh: bool,

    /// Ignore cached digests: read and hash everything again. Run steps twice, and fail with exit
    /// code 1 if their layers differ
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
    pub(super) registry: RegistryArgs,
}

impl BuildArgs {
    /// How the layer cache is used. Prints a warning if it cannot be used.
    pub(in crate::cli) fn cache(&self) -> CacheUse {
        if !self.no_cache {
            warn_of_cache_problem();
        }
        self.cache_use()
    }

    fn cache_use(&self) -> CacheUse {
        match self {
            Self { no_cache: true, .. } => CacheUse::Off,
            Self { verify: true, .. } => CacheUse::Verify,
            Self { refresh: true, .. } => CacheUse::RefreshSteps,
            _ => CacheUse::On,
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

    /// Plans the image of `recipe`, whose base is read with `access`, for a command that writes
    /// `outputs`.
    pub(in crate::cli) fn plan_recipe(
        &self,
        recipe: Recipe,
        access: &Access<'_>,
        outputs: &Outputs,
    ) -> anyhow::Result<Plan> {
        let options = PlanOptions {
            outputs: outputs.clone(),
            threads: self.threads(),
            cache: self.cache_use(),
            steps: steps::settings(),
        };
        Ok(plan_with(access.for_recipe(recipe)?, &options)?)
    }

    /// Plans the image of `recipe`, to which that of the command's own recipe is compared.
    pub(in crate::cli) fn plan_other(
        &self,
        recipe: Recipe,
        access: &Access<'_>,
    ) -> anyhow::Result<Plan> {
        self.plan_recipe(self.with_settings(recipe), access, &only_streams())
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

    pub(super) fn with_settings(&self, recipe: Recipe) -> Recipe {
        let recipe = Recipe { limits: self.limits(), ..recipe };
        #[cfg(feature = "registry")]
        let recipe = match self.locked {
            true => Recipe { lock_use: LockUse::Require, ..recipe },
            false => recipe,
        };
        recipe
    }

    /// Checks that there are no arguments that only recipes have; if one sets the name or tag, the
    /// error is `naming`.
    #[cfg(any(feature = "registry", feature = "vm"))]
    pub(super) fn check_for_image(&self, naming: &'static str) -> Result<(), UsageError> {
        if self.verify {
            return Err(UsageError("--verify is only for recipes, whose digests are cached"));
        }
        if self.refresh {
            return Err(UsageError("--refresh is only for recipes, whose steps run again"));
        }
        #[cfg(feature = "registry")]
        if self.locked {
            return Err(UsageError("--locked is only for recipes, which may have a base image"));
        }
        match self.overrides() == Overrides::default() {
            true => Ok(()),
            false => Err(UsageError(naming)),
        }
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
