//! The images of `seatrial check` and `seatrial expect`: opened, or built from recipes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::args::{AccessArgs, is_recipe, warn_of_cache_problem};
use super::images::Access;
use super::output::only_streams;
use crate::archive::{ImageSelector, Limits};
use crate::build::CacheUse;
#[cfg(feature = "registry")]
use crate::build::Recipe;
use crate::check::{CheckInput, RecipeOptions};
use crate::image::Platform;

/// Images, and the platforms for which they are needed.
pub(super) struct Inputs {
    /// The images, or recipes.
    pub(super) images: Vec<PathBuf>,
    /// The recipes of further containers.
    #[cfg_attr(not(feature = "registry"), allow(dead_code, reason = "they have no base there"))]
    pub(super) recipes: Vec<PathBuf>,
    pub(super) platforms: BTreeSet<Platform>,
    /// The platform that the user selected.
    pub(super) requested: Option<Platform>,
    pub(super) limits: Limits,
    pub(super) access: AccessArgs,
    /// Whether lock files are only read.
    pub(super) only_reads: bool,
    pub(super) threads: usize,
}

impl Inputs {
    /// Builds recipes and opens archives, for each platform.
    pub(super) fn open(&self) -> anyhow::Result<Vec<CheckInput>> {
        let access = self.access.access();
        let access = if self.only_reads { access.reading() } else { access };
        let options = RecipeOptions {
            limits: self.limits,
            is_selected: self.requested.is_some(),
            cache: self.access.cache(),
            #[cfg(feature = "registry")]
            registries: access.registries_of_bases(&self.recipes())?,
            #[cfg(feature = "registry")]
            lock_use: access.lock_use(),
            outputs: only_streams(),
        };
        let pairs =
            self.images.iter().flat_map(|path| self.platforms.iter().map(move |p| (path, p)));
        pairs.map(|(path, platform)| self.input(path, platform, &access, &options)).collect()
    }

    /// All recipes. Mistakes in them are reported when they are built.
    #[cfg(feature = "registry")]
    fn recipes(&self) -> Vec<Recipe> {
        let paths = self.images.iter().filter(|image| is_recipe(image)).chain(&self.recipes);
        let pairs = paths.flat_map(|path| self.platforms.iter().map(move |p| (path, p)));
        pairs.filter_map(|(path, platform)| Recipe::read_for(path, platform).ok()).collect()
    }

    fn input(
        &self,
        path: &Path,
        platform: &Platform,
        access: &Access<'_>,
        options: &RecipeOptions,
    ) -> anyhow::Result<CheckInput> {
        let platform = platform.clone();
        if is_recipe(path) {
            if options.cache == CacheUse::On {
                warn_of_cache_problem();
            }
            return Ok(CheckInput::from_recipe(path, platform, options, self.threads)?);
        }
        let selector = ImageSelector {
            platform: Some(platform.clone()),
            limits: self.limits,
            ..ImageSelector::default()
        };
        let opened = access.open(path, &selector)?;
        opened.image.check_platform(self.requested.as_ref())?;
        let image = opened.fetched()?;
        let input = CheckInput::from_image(image, platform, self.threads)?;
        Ok(input.with_options(options.clone()))
    }
}
