//! The recipe: the description of an image, checked, with resolved paths.
//!
//! Reads recipes, and files with parts of them, such as pipelines. What a recipe names is not
//! opened here: that is up to `inputs`.

mod annotations;
mod default_outputs;
pub mod files;
mod from_image;
mod image_source;
mod layering_setting;
#[cfg(feature = "registry")]
mod lock_use;
mod misplaced;
mod named_recipes;
mod overrides;
mod parse;
mod per_platform;
mod platforms;
mod run_settings;
mod settings;
mod source_paths;
mod store;
pub(super) mod stream_conf;
mod tables;
mod values;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::archive::{Attributes, Limits};
#[cfg(feature = "registry")]
use crate::image::RemoteReference;
use crate::image::{Inherit, Name, Platform, Reference, Tag, Timestamp};
use crate::layering::Strategy;
#[cfg(feature = "registry")]
use crate::registry::Registries;
use crate::steps::Step;

pub(super) use annotations::AnnotatedBase;
pub use annotations::Annotations;
use files::{Accounts, ConflictRule, ContentEntry, Helper, NamedLayer, PathEntry};
pub use image_source::ImageSource;
pub(super) use image_source::RECIPE;
#[cfg(feature = "registry")]
pub use lock_use::LockUse;
pub(super) use named_recipes::NamedRecipes;
pub use overrides::Overrides;
pub(crate) use store::NIX_STORE;
pub use store::Store;

/// A date in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSetting {
    /// The time at which the recipe was read, so that it is the same for all files and platforms.
    Now(Timestamp),
    /// A fixed time.
    At(Timestamp),
}

/// The description of an image for one platform. All paths are absolute or relative to the working
/// directory.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The recipe's file, for messages.
    pub path: PathBuf,
    /// The repository name.
    pub name: Name,
    /// The repository name in the recipe's file, which another one may replace.
    pub own_name: Name,
    /// The tags, the main one first; if there are none, one is derived from the inputs.
    pub tags: Vec<Tag>,
    /// How files are split into layers.
    pub layering: Strategy,
    /// The file with the layering, if the recipe names one.
    pub layering_file: Option<PathBuf>,
    /// Layers for files and store paths that the recipe names, lowest first.
    pub layers: Vec<NamedLayer>,
    /// Whether the packages in the contents are split into layers like store paths.
    pub package_layers: bool,
    /// The base image.
    pub from_image: Option<ImageSource>,
    /// The name of the base image, if its file holds several.
    pub from_image_name: Option<String>,
    /// The tag of the base image, if its file holds several.
    pub from_image_tag: Option<String>,
    /// The files, folders, store paths, tars and layers to put into the image.
    pub contents: Vec<ContentEntry>,
    /// The rule for two contents that have a file at the same path.
    pub on_conflict: ConflictRule,
    /// Single paths that are made, changed or removed after the contents are placed.
    pub paths: Vec<PathEntry>,
    /// Users and groups of the image.
    pub accounts: Option<Accounts>,
    /// Files that programs expect.
    pub helpers: Vec<Helper>,
    /// Paths where contents may replace what the base has, without slashes at either end.
    pub replace: Vec<Box<[u8]>>,
    /// The platform; if not given, it is the base's, which must then be the host's.
    pub platform: Option<Platform>,
    /// All platforms that the recipe's file lists; empty if it lists none.
    pub platforms: Vec<Platform>,
    /// The creation date.
    pub created: Option<TimeSetting>,
    /// The modification time of every file.
    pub mtime: TimeSetting,
    /// The owner of every file; its `mtime` is not used.
    pub owner: Attributes,
    /// The maximum number of layers, base included.
    pub max_layers: usize,
    /// Whether symlinks to directories stay symlinks in a single layer.
    pub keep_contents_dirlinks: bool,
    /// Whether store paths go into the image.
    pub include_store_paths: bool,
    /// The store.
    pub store: Option<Store>,
    /// The annotations of its manifest.
    pub annotations: Annotations,
    /// The image's `config`, checked; null clears a field.
    pub config: Map<String, Value>,
    /// The fields of the base's `config` to inherit, in addition to the environment.
    pub inherit: Inherit,
    /// The steps: commands that change the image, in order. Their environment lacks the image's.
    pub steps: Vec<Step>,
    /// The limits within which the base image is read; not part of the recipe file.
    pub limits: Limits,
    /// How images in registries are reached, if not in the usual way; not part of the recipe file.
    #[cfg(feature = "registry")]
    pub registries: Option<Registries>,
    /// How the lock file is used; not part of the recipe file.
    #[cfg(feature = "registry")]
    pub lock_use: LockUse,
}

impl Recipe {
    /// Whether it makes files in addition to its contents.
    pub(super) fn makes_files(&self) -> bool {
        !self.paths.is_empty() || self.accounts.is_some() || !self.helpers.is_empty()
    }

    /// Whether it names images in registries itself.
    #[cfg(feature = "registry")]
    pub(crate) fn has_remote_images(&self) -> bool {
        self.remote_images().next().is_some()
    }

    /// The references of the images in registries that it names itself.
    #[cfg(feature = "registry")]
    pub(crate) fn remote_images(&self) -> impl Iterator<Item = &RemoteReference> {
        let contents = self.contents.iter().filter_map(ContentEntry::image);
        self.from_image.iter().chain(contents).filter_map(ImageSource::remote)
    }

    /// Whether its steps can name store paths that the image then needs.
    pub(super) fn steps_name_paths(&self) -> bool {
        let has_graph = self.store.as_ref().is_some_and(|store| store.closure.is_some());
        has_graph && self.include_store_paths && !self.steps.is_empty()
    }

    /// The attributes of the image's files: the recipe's owner and modification time.
    pub fn attributes(&self) -> Attributes {
        Attributes { mtime: self.mtime.time(), ..self.owner.clone() }
    }

    /// The image's references, one for each tag that the recipe has.
    pub fn references(&self) -> Vec<Reference> {
        let reference = |tag: &Tag| Reference { name: self.name.clone(), tag: tag.clone() };
        self.tags.iter().map(reference).collect()
    }
}

impl TimeSetting {
    /// The time.
    pub fn time(self) -> Timestamp {
        match self {
            Self::At(time) | Self::Now(time) => time,
        }
    }
}

/// The current time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    Timestamp::from_seconds(seconds).unwrap_or(Timestamp::DEFAULT)
}
