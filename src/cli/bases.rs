//! Access of recipes to registries.

use super::images::Access;
#[cfg(feature = "registry")]
use crate::build::LockUse;
use crate::build::Recipe;
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

    /// Gives `recipe` access to registries, if it names images there, or a recipe that it is built
    /// from does.
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

    /// The registries, if one of `recipes`, or one that it is built from, names an image in one.
    #[cfg(feature = "registry")]
    pub(super) fn registries_of_bases<'r>(
        &self,
        recipes: impl IntoIterator<Item = &'r Recipe>,
    ) -> anyhow::Result<Option<Registries>> {
        match recipes.into_iter().any(Recipe::uses_registries) {
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
