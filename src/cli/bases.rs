//! Access of recipes to the registries of their base images.

use super::images::Access;
#[cfg(feature = "registry")]
use crate::build::LockUse;
use crate::build::Recipe;
#[cfg(feature = "registry")]
use crate::image::Location;
#[cfg(feature = "registry")]
use crate::registry::Registries;

impl Access<'_> {
    /// The same access for a command that writes no lock files.
    #[cfg(feature = "registry")]
    pub(super) fn reading(mut self) -> Self {
        self.only_reads = true;
        self
    }

    /// The same access: without registries, there are no lock files.
    #[cfg(not(feature = "registry"))]
    pub(super) fn reading(self) -> Self {
        self
    }

    /// Gives `recipe` access to the registry of its base image, if that is in one.
    #[cfg(feature = "registry")]
    pub(super) fn for_recipe(&self, recipe: Recipe) -> anyhow::Result<Recipe> {
        let registries = self.registries_of_bases([&recipe])?;
        let lock_use = match recipe.lock_use {
            LockUse::Write => self.lock_use(),
            given => given,
        };
        Ok(Recipe { registries, lock_use, ..recipe })
    }

    /// How lock files are used.
    #[cfg(feature = "registry")]
    pub(super) fn lock_use(&self) -> LockUse {
        if self.only_reads { LockUse::Read } else { LockUse::Write }
    }

    /// The registries, if the base image of one of `recipes` is in one.
    #[cfg(feature = "registry")]
    pub(super) fn registries_of_bases<'r>(
        &self,
        recipes: impl IntoIterator<Item = &'r Recipe>,
    ) -> anyhow::Result<Option<Registries>> {
        let is_remote = |recipe: &Recipe| matches!(recipe.from_image, Some(Location::Registry(_)));
        match recipes.into_iter().any(is_remote) {
            true => Ok(Some(self.registries()?.clone())),
            false => Ok(None),
        }
    }

    #[cfg(not(feature = "registry"))]
    #[allow(clippy::unnecessary_wraps, reason = "with registries, it can fail")]
    pub(super) fn for_recipe(&self, recipe: Recipe) -> anyhow::Result<Recipe> {
        Ok(recipe)
    }
}
