//! The base image: opens and verifies it, and lists its files. Also opens other images.
//!
//! Layers of a base in a registry are read only if the build needs their files, and only once: the
//! cache keeps what they have. A base that is built from a recipe is not a file: its layers are
//! written as those of any new image are, and made earlier only if something reads them.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "registry")]
use super::base_layers::BaseLayerCache;
#[cfg(feature = "registry")]
use super::lock::{self, NewLock};
use crate::archive::tree::Tree;
use crate::archive::verify::VerifiedLayer;
use crate::archive::{ArchiveError, Image, ImageSelector, open_location, verify};
use crate::build::BuildError;
use crate::build::recipe::{ImageSource, Recipe};
use crate::image::{History, Location, Platform, RemoteReference};
#[cfg(feature = "registry")]
use crate::registry::{Registries, RegistryOptions, RemoteImage};
use crate::text;

/// A base image. One from a file has been verified.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) image: Image,
    files: OnceLock<BaseFiles>,
    threads: usize,
    origin: Origin,
    /// The entry that a successful build adds to the lock file.
    #[cfg(feature = "registry")]
    new_lock: Option<NewLock>,
}

/// Where a base image comes from.
#[derive(Debug)]
enum Origin {
    File,
    #[cfg(feature = "registry")]
    Registry(Box<(Registries, RemoteImage)>),
    Recipe(Arc<dyn BuiltLayers>),
}

/// The layers of a base image that is built from a recipe.
pub(in crate::build) trait BuiltLayers: fmt::Debug + Send + Sync {
    /// The sizes of the uncompressed layers in bytes, lowest first.
    fn sizes(&self) -> Result<Vec<u64>, BuildError>;

    /// The files of all layers together. Of new files, only metadata is read.
    fn tree(&self) -> Result<Tree, BuildError>;
}

/// The sizes and files of a base image's layers.
#[derive(Debug)]
struct BaseFiles {
    /// The sizes of its uncompressed layers in bytes, lowest first.
    sizes: Vec<u64>,
    /// The files of all its layers together.
    tree: Tree,
}

/// Opens the recipe's base image, if any, and determines the platform of the new image. The image
/// of a recipe is made by `build`.
pub(in crate::build) fn open_base(
    recipe: &Recipe,
    threads: usize,
    build: impl FnOnce(&Path) -> Result<Base, BuildError>,
) -> Result<(Option<Base>, Platform), BuildError> {
    let given = recipe.platform.clone();
    let Some(source) = &recipe.from_image else {
        return Ok((None, given.unwrap_or_else(Platform::host)));
    };
    let selector = ImageSelector {
        name: recipe.from_image_name.clone(),
        tag: recipe.from_image_tag.clone(),
        platform: Some(given.clone().unwrap_or_else(Platform::host)),
        limits: recipe.limits,
    };
    let base = Base::open(recipe, "from_image", source, &selector, threads, build)?;
    let image = &base.image;
    let os = &image.config.os;
    if !os.is_empty() && os != Platform::OS {
        let os = text::shorten(os);
        let problem = format!("the base image is for {os}; only {} is supported", Platform::OS);
        return Err(ArchiveError::invalid(&image.path, problem).into());
    }
    let platform = given.map_or_else(|| inherited_platform(image), Ok)?;
    if matches!(base.origin, Origin::File) {
        base.files()?;
    }
    Ok((Some(base), platform))
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
    fn new(image: Image, threads: usize, origin: Origin) -> Self {
        Self {
            image,
            files: OnceLock::new(),
            threads,
            origin,
            #[cfg(feature = "registry")]
            new_lock: None,
        }
    }

    /// Opens the image `source`, which `recipe` names with `key`. The image of a recipe is made by
    /// `build`.
    pub(super) fn open(
        recipe: &Recipe,
        key: &str,
        source: &ImageSource,
        selector: &ImageSelector,
        threads: usize,
        build: impl FnOnce(&Path) -> Result<Self, BuildError>,
    ) -> Result<Self, BuildError> {
        match source {
            ImageSource::Recipe(path) => build(path),
            ImageSource::Image(Location::Registry(reference)) => {
                Self::remote(recipe, key, reference, selector, threads)
            }
            ImageSource::Image(file) => {
                let opened = open_location(file, selector).map_err(BuildError::from);
                let opened = opened.map_err(|error| error.of_key(&recipe.path, key))?;
                Ok(Self::new(opened, threads, Origin::File))
            }
        }
    }

    /// The image of a recipe, whose layers are `built`.
    pub(in crate::build) fn of_recipe(image: Image, built: Arc<dyn BuiltLayers>) -> Self {
        Self::new(image, 1, Origin::Recipe(built))
    }

    /// Opens the base image `reference`. Its layers are not fetched yet.
    #[cfg(feature = "registry")]
    fn remote(
        recipe: &Recipe,
        _: &str,
        reference: &RemoteReference,
        selector: &ImageSelector,
        threads: usize,
    ) -> Result<Self, BuildError> {
        let platform = selector.platform.clone().unwrap_or_else(Platform::host);
        let registries = match &recipe.registries {
            Some(registries) => registries.clone(),
            None => Registries::new(RegistryOptions::default())?,
        };
        let (remote, new_lock) = lock::open(recipe, &registries, reference, &platform)?;
        let image = remote.image.clone();
        let origin = Origin::Registry(Box::new((registries, remote)));
        Ok(Self { new_lock, ..Self::new(image, threads, origin) })
    }

    #[cfg(not(feature = "registry"))]
    fn remote(
        recipe: &Recipe,
        key: &str,
        reference: &RemoteReference,
        _: &ImageSelector,
        _: usize,
    ) -> Result<Self, BuildError> {
        let problem = format!(
            "{key} is in a registry ({reference}), but this program was compiled without \
             feature registry"
        );
        Err(BuildError::recipe(&recipe.path, problem))
    }

    /// Writes to the lock file what the reference of the image means, unless it is there already.
    #[cfg(feature = "registry")]
    pub(crate) fn lock(&self) -> Result<(), BuildError> {
        self.new_lock.as_ref().map_or(Ok(()), NewLock::write)
    }

    #[cfg(not(feature = "registry"))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "there are no lock files")]
    pub(crate) fn lock(&self) -> Result<(), BuildError> {
        Ok(())
    }

    /// The name of the image: `name:tag`, or `name@digest` if that is how it was opened in a
    /// registry.
    pub(crate) fn reference(&self) -> Option<String> {
        let named = self.image.references.first().cloned();
        #[cfg(feature = "registry")]
        if let (None, Origin::Registry(remote)) = (&named, &self.origin) {
            return Some(remote.1.reference().to_string());
        }
        named
    }

    /// The files of all its layers together. Reads the layers at the first call, unless the cache
    /// has what they contain.
    pub(crate) fn tree(&self) -> Result<&Tree, BuildError> {
        Ok(&self.files()?.tree)
    }

    /// The sizes of its uncompressed layers in bytes, lowest first; see [`tree`](Self::tree).
    pub(crate) fn sizes(&self) -> Result<&[u64], BuildError> {
        Ok(&self.files()?.sizes)
    }

    fn files(&self) -> Result<&BaseFiles, BuildError> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let files = match &self.origin {
            Origin::File => BaseFiles::of(verify::layers(&self.image, self.threads)?),
            #[cfg(feature = "registry")]
            Origin::Registry(remote) => {
                BaseFiles::of(remote_layers(&remote.0, &remote.1, self.threads)?)
            }
            Origin::Recipe(built) => BaseFiles { sizes: built.sizes()?, tree: built.tree()? },
        };
        Ok(self.files.get_or_init(|| files))
    }

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

impl BaseFiles {
    fn of(layers: Vec<VerifiedLayer>) -> Self {
        let sizes = layers.iter().map(|layer| layer.size).collect();
        Self { sizes, tree: Tree::from_layers(layers.into_iter().map(|layer| layer.tree)) }
    }
}

/// The layers of an image in a registry. Fetches and verifies those that the cache does not know.
#[cfg(feature = "registry")]
fn remote_layers(
    registries: &Registries,
    remote: &RemoteImage,
    threads: usize,
) -> Result<Vec<VerifiedLayer>, BuildError> {
    let cache = BaseLayerCache::open(registries.uses_cache());
    let mut layers: Vec<Option<VerifiedLayer>> =
        remote.image.layers.iter().map(|layer| cache.get(layer)).collect();
    let is_new = |index: usize| layers[index].is_none();
    let new: Vec<_> = (0..layers.len()).filter(|index| is_new(*index)).collect();
    if new.is_empty() {
        return Ok(layers.into_iter().flatten().collect());
    }
    let blobs: Vec<_> = new.iter().map(|index| remote.image.layers[*index].clone()).collect();
    let image = Image { layers: blobs, ..remote.image.clone() };
    let verified = registries.verified_layers(remote, &image, threads, &|_| ())?;
    for ((index, layer), blob) in new.into_iter().zip(verified).zip(&image.layers) {
        cache.insert(blob, &layer);
        layers[index] = Some(layer);
    }
    cache.prune();
    Ok(layers.into_iter().flatten().collect())
}
