//! The recipes whose images an image is built from: those that its recipe names, those that these
//! name, and so on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{ContentEntry, IMAGE_KEY};
use super::{ImageSource, Recipe};
use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::build::error::cannot_read;
use crate::image::Platform;
use crate::text;

/// The most recipes that build on each other.
const DEPTH_MAX: usize = 16;

/// Every recipe that an image is built from, besides its own. One that is named by several paths is
/// listed once for each platform.
#[derive(Clone, Debug, Default)]
pub(in crate::build) struct NamedRecipes {
    recipes: Vec<NamedRecipe>,
    /// The numbers of the recipes, by file and by the platform of the recipe that names them.
    numbers: BTreeMap<(RecipeFile, Option<Platform>), usize>,
}

#[derive(Clone, Debug)]
struct NamedRecipe {
    file: RecipeFile,
    /// The platform of its image; `None` if that is its base's.
    platform: Option<Platform>,
    recipe: Recipe,
}

/// A recipe's file: its resolved path, and the folder to which its paths are relative, which is
/// another one if the recipe is named by a symlink.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RecipeFile {
    path: PathBuf,
    folder: PathBuf,
}

impl RecipeFile {
    fn at(path: &Path) -> Self {
        Self { path: real(path), folder: real(path.parent().unwrap_or(Path::new(""))) }
    }
}

/// The recipes from the first one to the one that is read.
type Chain = Vec<(PathBuf, PathBuf)>;

impl NamedRecipes {
    /// Reads the recipes that `recipe` is built from.
    pub(in crate::build) fn of(recipe: &Recipe) -> Result<Self, BuildError> {
        let mut all = Self::default();
        all.read(recipe)?;
        Ok(all)
    }

    /// Reads those recipes that `recipe` is built from which can be read.
    pub(super) fn readable(recipe: &Recipe) -> Self {
        let mut all = Self::default();
        // The build reports the error.
        let _ = all.read(recipe);
        all
    }

    fn read(&mut self, recipe: &Recipe) -> Result<(), BuildError> {
        self.add_named_by(recipe, &mut vec![(real(&recipe.path), recipe.path.clone())])
    }

    /// The recipe with this number.
    pub(in crate::build) fn get(&self, index: usize) -> Option<&Recipe> {
        self.recipes.get(index).map(|named| &named.recipe)
    }

    /// The number of the recipe at `path`, which `user` names.
    pub(in crate::build) fn position(&self, user: &Recipe, path: &Path) -> Option<usize> {
        self.numbers.get(&(RecipeFile::at(path), user.platform.clone())).copied()
    }

    /// All recipes.
    pub(in crate::build) fn iter(&self) -> impl Iterator<Item = &Recipe> {
        self.recipes.iter().map(|named| &named.recipe)
    }

    fn add_named_by(&mut self, user: &Recipe, chain: &mut Chain) -> Result<(), BuildError> {
        for (key, path) in user.recipe_paths() {
            let file = real(path);
            if let Some(first) = chain.iter().position(|(known, _)| *known == file) {
                let circle = arrows(&chain[first..], path);
                let problem = format!("{key}: recipes cannot be built from each other: {circle}");
                return Err(BuildError::recipe(&user.path, problem));
            }
            if chain.len() >= DEPTH_MAX {
                let chain = arrows(chain, path);
                let problem =
                    format!("{key}: more than {DEPTH_MAX} recipes build on each other: {chain}");
                return Err(BuildError::recipe(&user.path, problem));
            }
            if self.position(user, path).is_some() {
                continue;
            }
            let recipe = user.read_named(key, path)?;
            if self.add(user, path, &recipe) {
                chain.push((file, path.to_owned()));
                self.add_named_by(&recipe, chain)?;
                chain.pop();
            }
        }
        Ok(())
    }

    /// Adds `recipe`, which `user` names by `path`, and returns whether it is new: another path, or
    /// a recipe for another platform, may have led to it.
    fn add(&mut self, user: &Recipe, path: &Path, recipe: &Recipe) -> bool {
        let (file, platform) = (RecipeFile::at(path), platform_of(recipe));
        let is_same = |named: &NamedRecipe| named.file == file && named.platform == platform;
        let known = self.recipes.iter().position(is_same);
        let number = known.unwrap_or(self.recipes.len());
        self.numbers.insert((file.clone(), user.platform.clone()), number);
        if known.is_none() {
            self.recipes.push(NamedRecipe { file, platform, recipe: recipe.clone() });
        }
        known.is_none()
    }
}

/// The platform of the image of `recipe`; `None` if that is its base's.
fn platform_of(recipe: &Recipe) -> Option<Platform> {
    let of_host = recipe.from_image.is_none().then(Platform::host);
    recipe.platform.clone().or(of_host)
}

impl Recipe {
    /// Reads the recipes that the image is built from, besides its own, for its platform.
    ///
    /// # Errors
    /// If one of them cannot be read or is invalid, or if they name each other in a circle.
    pub fn named_recipes(&self) -> Result<Vec<Self>, BuildError> {
        Ok(NamedRecipes::of(self)?.recipes.into_iter().map(|named| named.recipe).collect())
    }

    /// Whether it, or a recipe that it is built from, names images in registries.
    #[cfg(feature = "registry")]
    pub(crate) fn uses_registries(&self) -> bool {
        self.has_remote_images() || NamedRecipes::readable(self).iter().any(Self::has_remote_images)
    }

    /// The paths of the recipes that it names, with their keys.
    pub(in crate::build) fn recipe_paths(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let base = self.from_image.iter().map(|image| ("from_image", image));
        let contents = self.contents.iter().filter_map(ContentEntry::image);
        let images = base.chain(contents.map(|image| (IMAGE_KEY, image)));
        images.filter_map(|(key, image)| match image {
            ImageSource::Recipe(path) => Some((key, path.as_path())),
            ImageSource::Image(_) => None,
        })
    }

    /// Reads the recipe at `path`, which it names with `key`, for its own platform.
    fn read_named(&self, key: &str, path: &Path) -> Result<Self, BuildError> {
        let platform = self.platform.clone().unwrap_or_else(Platform::host);
        let read = Self::read_for(path, &platform);
        let read = read.map_err(|error| match error {
            BuildError::Archive(ArchiveError::Read { path, source }) => {
                BuildError::recipe(&self.path, cannot_read(key, &path, &source))
            }
            error => error,
        })?;
        Ok(Self {
            // Without a platform, both are for that of their base, or else for the host's.
            platform: read.platform.or_else(|| self.platform.clone()),
            limits: self.limits,
            #[cfg(feature = "registry")]
            registries: self.registries.clone(),
            #[cfg(feature = "registry")]
            lock_use: self.lock_use,
            ..read
        })
    }
}

/// The resolved path of a recipe, or its path if it is not a file.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The recipes of `chain`, and `last`, as a text.
fn arrows(chain: &[(PathBuf, PathBuf)], last: &Path) -> String {
    let paths = chain.iter().map(|(_, path)| path.as_path()).chain([last]);
    paths.map(text::path).collect::<Vec<_>>().join(" -> ")
}
