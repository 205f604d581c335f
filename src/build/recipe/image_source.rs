//! Images that a recipe names: in files, folders and registries, and those of other recipes.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::image::location::looks_remote;
use crate::image::{Location, RemoteReference};
use crate::text;

/// An image that a recipe names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// An image in a file, a folder or a registry.
    Image(Location),
    /// The image of the recipe in this file, which is built first.
    Recipe(PathBuf),
}

/// The prefix of a recipe whose name ends in neither `.toml` nor `.json`.
pub(in crate::build) const RECIPE: &str = "recipe:";

impl ImageSource {
    /// Parses the value of `key`, and resolves a relative path in `folder`.
    pub(in crate::build) fn parse(key: &str, text: &str, folder: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(RECIPE) {
            return match path.is_empty() {
                true => Err(format!("{key}: {RECIPE} has no path; write {RECIPE}FILE")),
                false => Ok(Self::Recipe(folder.join(path))),
            };
        }
        let location = Location::parse(text).map_err(|error| format!("{key}: {error}"))?;
        match &location {
            Location::Daemon(_) => Err(format!(
                "{key} cannot be in a daemon; save it to a file with docker save, or push it to a \
                 registry"
            )),
            Location::Path(path) if is_recipe(path) => Ok(Self::Recipe(folder.join(path))),
            Location::Path(path) if !folder.join(path).exists() && looks_remote(text) => {
                let name = text::shorten(text.strip_prefix("docker:").unwrap_or(text));
                let text = text::shorten(text);
                Err(format!(
                    "{key}: there is no file {text}; for the image in a registry, write \
                     \"docker://{name}\""
                ))
            }
            _ => Ok(Self::Image(location.in_folder(folder))),
        }
    }

    /// The file or folder of this host: an image, or a recipe.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Image(location) => location.path(),
            Self::Recipe(path) => Some(path),
        }
    }

    /// The reference of an image in a registry.
    pub fn remote(&self) -> Option<&RemoteReference> {
        match self {
            Self::Image(Location::Registry(reference)) => Some(reference),
            _ => None,
        }
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(location) => write!(f, "{location}"),
            Self::Recipe(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether `path` has the name of a recipe.
fn is_recipe(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml" || extension == "json")
}
