//! The base image: opens and verifies it, and lists its files.

#[cfg(feature = "registry")]
use super::lock;
use super::{BuildError, Recipe};
use crate::archive::tree::Tree;
use crate::archive::{ArchiveError, Image, ImageSelector, open_location, verify};
use crate::image::{History, Location, Platform, RemoteReference};
#[cfg(feature = "registry")]
use crate::registry::{Registries, RegistryOptions};
use crate::text;

/// A verified base image.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) image: Image,
    /// The sizes of its uncompressed layers in bytes, lowest first.
    pub(crate) sizes: Vec<u64>,
    /// The files of all its layers together.
    pub(crate) tree: Tree,
}

/// Opens the recipe's base image, if any, and determines the platform of the new image.
pub(crate) fn open_base(
    recipe: &Recipe,
    threads: usize,
) -> Result<(Option<Base>, Platform), BuildError> {
    let given = recipe.platform.clone();
    let Some(location) = &recipe.from_image else {
        return Ok((None, given.unwrap_or_else(Platform::host)));
    };
    let selector = ImageSelector {
        name: recipe.from_image_name.clone(),
        tag: recipe.from_image_tag.clone(),
        platform: Some(given.clone().unwrap_or_else(Platform::host)),
        limits: recipe.limits,
    };
    let image = match location {
        Location::Registry(reference) => fetch(recipe, reference, &selector)?,
        file => open_location(file, &selector)?,
    };
    let os = &image.config.os;
    if !os.is_empty() && os != Platform::OS {
        let os = text::shorten(os);
        let problem = format!("the base image is for {os}; only {} is supported", Platform::OS);
        return Err(ArchiveError::invalid(&image.path, problem).into());
    }
    let platform = given.map_or_else(|| inherited_platform(&image), Ok)?;
    let facts = verify::layers(&image, threads)?;
    let sizes = facts.iter().map(|layer| layer.size).collect();
    let tree = Tree::from_layers(facts.into_iter().map(|layer| layer.tree));
    Ok((Some(Base { image, sizes, tree }), platform))
}

/// Fetches the base image from a registry.
#[cfg(feature = "registry")]
fn fetch(
    recipe: &Recipe,
    reference: &RemoteReference,
    selector: &ImageSelector,
) -> Result<Image, BuildError> {
    let platform = selector.platform.clone().unwrap_or_else(Platform::host);
    let registries = match &recipe.registries {
        Some(registries) => registries.clone(),
        None => Registries::new(RegistryOptions::default())?,
    };
    let image = lock::open(&recipe.path, &registries, reference, &platform, recipe.limits)?;
    registries.fetch_layers(&image, &|_| ())?;
    Ok(image.image)
}

#[cfg(not(feature = "registry"))]
fn fetch(
    recipe: &Recipe,
    reference: &RemoteReference,
    _: &ImageSelector,
) -> Result<Image, BuildError> {
    let problem = format!(
        "from_image is in a registry ({reference}), but this program was compiled without feature \
         registry"
    );
    Err(BuildError::recipe(&recipe.path, problem))
}

/// The base's platform. It must be the host's, because the recipe names none.
fn inherited_platform(base: &Image) -> Result<Platform, BuildError> {
    let host = Platform::host();
    let name = &base.config.architecture;
    if name.is_empty() {
        return Ok(host);
    }
    match name.parse::<Platform>() {
        Ok(platform) if platform.arch == host.arch => {
            let variant = base.config.variant.clone().or(platform.variant);
            Ok(Platform { variant, ..platform })
        }
        _ => {
            let problem = format!(
                "the base image is for {name}, but the host is {}; set architecture = \"{name}\" \
                 in the recipe to build for the base's platform, or another one to override it",
                host.arch,
                name = text::shorten(name)
            );
            Err(ArchiveError::invalid(&base.path, problem).into())
        }
    }
}

impl Base {
    /// The image's history, with at least one entry for each layer. If the image has none, or not
    /// one for each layer, the entries are placeholders.
    pub(crate) fn history(&self) -> Vec<History> {
        let config = &self.image.config;
        match config.layer_history() {
            Some(_) => config.history.clone(),
            None => vec![History::of_base_layer(config.created.clone()); self.image.layers.len()],
        }
    }
}
