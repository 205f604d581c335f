//! The inputs of a check: images from archives or recipes.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::CheckError;
use super::expectations::ExpectationsFile;
use super::image::ImageUnderTest;
use super::static_checks;
use super::verdict::{Checks, TestCase};
use crate::archive::{ArchiveError, Compression, Image, ImageFormat, ImageSelector, Limits};
#[cfg(feature = "registry")]
use crate::build::LockUse;
use crate::build::{
    BuildError, CacheUse, Format, Options as BuildOptions, Output, Outputs, PlanOptions, Recipe,
    StepSettings, assemble, plan_with,
};
use crate::harness::{DEFAULT_REFERENCE, VmSteps, is_loaded_as_it_is};
use crate::image::{Platform, Reference};
#[cfg(feature = "registry")]
use crate::registry::Registries;
use crate::text;

/// How recipes are built.
#[derive(Clone, Debug)]
pub struct RecipeOptions {
    /// The limits within which images are read, among them base images.
    pub limits: Limits,
    /// Whether an image must be for exactly the platform that is asked for, because a user selected
    /// it. A recipe without a platform gets it.
    pub is_selected: bool,
    /// How the layer cache is used.
    pub cache: CacheUse,
    /// The registries of base images; `None` for the default access to them.
    #[cfg(feature = "registry")]
    pub registries: Option<Registries>,
    /// How lock files are used.
    #[cfg(feature = "registry")]
    pub lock_use: LockUse,
    /// The files that the caller writes, which are not in the images.
    pub outputs: Outputs,
}

impl Default for RecipeOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            is_selected: false,
            cache: CacheUse::On,
            #[cfg(feature = "registry")]
            registries: None,
            #[cfg(feature = "registry")]
            lock_use: LockUse::default(),
            outputs: Outputs::default(),
        }
    }
}

/// An image to check.
#[derive(Debug)]
pub struct CheckInput {
    /// The platform for which the image was selected, if an archive or a recipe has images for
    /// several. It is checked on engines of this architecture.
    pub platform: Platform,
    /// The path of the archive, or the name of an image that is not in a file.
    pub archive: PathBuf,
    /// The image.
    pub image: ImageUnderTest,
    /// The recipe, if the image was built from one.
    pub recipe: Option<PathBuf>,
    options: RecipeOptions,
    // An archive that was built from a recipe: a file without a name, which disappears with this
    // process however that ends.
    _built: Option<File>,
}

impl CheckInput {
    /// Opens the image for `platform` in the archive or OCI layout at `path`, within `limits`.
    ///
    /// # Errors
    /// If there is no such image, or it is damaged.
    pub fn from_archive(
        path: &Path,
        platform: Platform,
        limits: Limits,
        threads: usize,
    ) -> Result<Self, CheckError> {
        let selector =
            ImageSelector { platform: Some(platform.clone()), limits, ..ImageSelector::default() };
        Self::from_image(crate::archive::open(path, &selector)?, platform, threads)
    }

    /// Takes an opened image, which was selected for `platform`.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn from_image(
        image: Image,
        platform: Platform,
        threads: usize,
    ) -> Result<Self, CheckError> {
        let archive = image.path.clone();
        let options = RecipeOptions { limits: image.limits, ..RecipeOptions::default() };
        let image = ImageUnderTest::read(image, threads)?;
        Ok(Self { platform, archive, image, recipe: None, options, _built: None })
    }

    /// Whether layers that an engine has need not be sent to it. A docker-archive of another
    /// program is loaded as it is, because its bytes are a part of the test.
    pub(super) fn may_omit_layers(&self) -> bool {
        self.recipe.is_some() || !is_loaded_as_it_is(&self.archive, &self.image.image)
    }

    /// Sets how recipes of further containers are built.
    #[must_use]
    pub fn with_options(self, options: RecipeOptions) -> Self {
        Self { options, ..self }
    }

    /// Builds the image for `platform` of the recipe at `path`.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn from_recipe(
        path: &Path,
        platform: Platform,
        options: &RecipeOptions,
        threads: usize,
    ) -> Result<Self, CheckError> {
        let built = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
        let limits = options.limits;
        let recipe = match options.is_selected {
            true => Recipe::read_selected(path, &platform)?,
            false => Recipe::read_for(path, &platform)?,
        };
        let recipe = Recipe { limits, ..recipe };
        #[cfg(feature = "registry")]
        let recipe = {
            let RecipeOptions { registries, lock_use, .. } = options.clone();
            Recipe { registries, lock_use, ..recipe }
        };
        build(recipe, options, &built, threads)?;
        let archive = PathBuf::from(format!("/proc/self/fd/{}", built.as_raw_fd()));
        let selector = ImageSelector { limits, ..ImageSelector::default() };
        let image = ImageUnderTest::open(&archive, &selector, threads)?;
        let (recipe, built) = (Some(path.to_owned()), Some(built));
        let options = options.clone();
        Ok(Self { platform, archive, image, recipe, options, _built: built })
    }

    /// Opens or builds the images of further containers of `files`, by the path of their archive or
    /// recipe, for the platform of this input.
    pub(super) fn companions(
        &self,
        files: &[ExpectationsFile],
        threads: usize,
    ) -> Result<BTreeMap<PathBuf, Self>, CheckError> {
        let specs = files.iter().flat_map(|file| file.expectations.container.values());
        let options = RecipeOptions { is_selected: false, ..self.options.clone() };
        let mut images = BTreeMap::new();
        for spec in specs {
            let (platform, limits) = (self.platform.clone(), self.options.limits);
            let (path, input) = match (&spec.image, &spec.recipe) {
                (Some(path), _) => (path, Self::from_archive(path, platform, limits, threads)?),
                (None, Some(path)) => (path, Self::from_recipe(path, platform, &options, threads)?),
                (None, None) => continue,
            };
            images.insert(path.clone(), input);
        }
        self.check_names(&images)?;
        Ok(images)
    }

    /// Refuses images that would replace each other in an engine.
    fn check_names(&self, companions: &BTreeMap<PathBuf, Self>) -> Result<(), CheckError> {
        let own = self.recipe.as_deref().unwrap_or(&self.archive);
        let companions = companions.iter().map(|(path, input)| (path.as_path(), input));
        let mut taken = BTreeMap::new();
        for (path, input) in std::iter::once((own, self)).chain(companions) {
            let image = &input.image.image;
            // Docker's own format is loaded as it is, and then has no name either.
            let gets_name =
                image.references.is_empty() && image.format != ImageFormat::DockerArchive;
            let unnamed = gets_name.then(|| DEFAULT_REFERENCE.to_owned());
            for name in image.references.iter().cloned().chain(unnamed) {
                let full_name = name.parse::<Reference>().map(|name| name.normalized());
                let full_name = full_name.unwrap_or_else(|_| name.clone());
                match taken.insert(full_name, (path, image.id())) {
                    Some((other, id)) if id != image.id() => {
                        let (first, second) = (text::path(other), text::path(path));
                        return Err(CheckError::SameName { first, second, name });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Returns the image's name, with the architecture if that is not the host's.
    pub(super) fn name(&self) -> String {
        match self.platform.arch == Platform::host().arch {
            true => self.image.name(),
            false => format!("{} ({})", self.image.name(), self.platform.arch),
        }
    }

    /// Builds the recipe a second time and compares the image IDs.
    pub(super) fn reproducible_build(&self, threads: usize) -> Result<TestCase, CheckError> {
        let (image, name) = (self.name(), static_checks::REPRODUCIBLE);
        let Some(recipe) = &self.recipe else {
            let reason = "an archive cannot be built again; pass its recipe instead";
            return Ok(TestCase::skipped(&image, name, reason));
        };
        let cache = match self.options.cache {
            CacheUse::Off => CacheUse::Off,
            CacheUse::On | CacheUse::RefreshSteps | CacheUse::Verify => CacheUse::Verify,
        };
        let options = RecipeOptions { cache, ..self.options.clone() };
        let second = Self::from_recipe(recipe, self.platform.clone(), &options, threads)?;
        let id = |input: &Self| input.image.image.id().to_string();
        let mut checks = Checks::default();
        checks.expect_equal("image ID", &id(self), &id(&second));
        Ok(TestCase::finished(&image, name, checks))
    }
}

fn build(
    recipe: Recipe,
    options: &RecipeOptions,
    archive: &File,
    threads: usize,
) -> Result<(), CheckError> {
    let cache = options.cache;
    let plan_options = PlanOptions {
        outputs: options.outputs.clone(),
        threads,
        cache,
        steps: VmSteps::settings(StepSettings::default()),
    };
    let plan = plan_with(recipe, &plan_options)?;
    let options =
        BuildOptions { format: Format::Docker, compression: Compression::None, threads, cache };
    let built = assemble(&plan, options, Output::File(archive), &mut |_| ());
    built.map_err(BuildError::writing_to_temporary_file)?;
    Ok(())
}
