//! The base image: opened, verified, and what its layers show.

use super::{BuildError, Recipe};
use crate::archive::tree::Tree;
use crate::archive::{ArchiveError, Image, ImageSelector, open, verify};
use crate::image::{History, Platform};

/// A base image, every digest of which was checked.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) image: Image,
    /// The sizes of its uncompressed layers in bytes, bottom first.
    pub(crate) sizes: Vec<u64>,
    /// What its layers show.
    pub(crate) tree: Tree,
}

/// Opens the recipe's base image, if it has one, and settles the image's platform.
pub(crate) fn settle(
    recipe: &Recipe,
    threads: usize,
) -> Result<(Option<Base>, Platform), BuildError> {
    let given = recipe.platform.clone();
    let Some(path) = &recipe.from_image else {
        return Ok((None, given.unwrap_or_else(Platform::host)));
    };
    let choice = ImageSelector {
        name: recipe.from_image_name.clone(),
        tag: recipe.from_image_tag.clone(),
        platform: Some(given.clone().unwrap_or_else(Platform::host)),
    };
    let image = open(path, &choice)?;
    let os = &image.config.os;
    if !os.is_empty() && os != Platform::OS {
        let problem =
            format!("a base image for {os}; only {} images can be built upon", Platform::OS);
        return Err(ArchiveError::invalid(path, problem).into());
    }
    let platform = given.map_or_else(|| inherited_platform(&image), Ok)?;
    let facts = verify::layers(&image, threads)?;
    let sizes = facts.iter().map(|layer| layer.size).collect();
    let tree = Tree::from_layers(facts.into_iter().map(|layer| layer.tree));
    Ok((Some(Base { image, sizes, tree }), platform))
}

/// The base's platform, which must be the host's where the recipe names none.
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
                "a base image for {name}, while this machine is {}; set architecture = {name:?} in the recipe to \
                 build for the base's, or another to override it",
                host.arch
            );
            Err(ArchiveError::invalid(&base.path, problem).into())
        }
    }
}

impl Base {
    /// One history entry a layer at least; an image without history, or with a broken one, gets plain ones.
    pub(crate) fn history(&self) -> Vec<History> {
        let config = &self.image.config;
        match config.layer_history() {
            Some(_) => config.history.clone(),
            None => vec![History::of_base_layer(config.created.clone()); self.image.layers.len()],
        }
    }
}
