//! From a recipe to an image.
//!
//! [`plan`](plan()) makes every decision before the first byte is written: it reads names and
//! metadata of the inputs, verifies the base image, and finds every mistake that does not take the
//! contents of files. [`assemble`](assemble()) then reads the contents once and writes the
//! image. Archive formats and tar belong to [`archive`](crate::archive), the split into layers to
//! [`layering`](crate::layering).

mod account_files;
mod annotations;
mod assemble;
mod assignment;
mod base;
mod base_files;
#[cfg(feature = "registry")]
mod base_layers;
mod cache;
mod changes;
mod contents;
mod entry_mode;
mod error;
mod expansions;
mod explain;
pub mod files;
mod folder_contents;
mod format;
mod from_image;
mod given_layers;
mod hard_links;
mod helper_files;
mod host_store;
mod image_config;
mod image_path;
#[cfg(feature = "vm")]
pub(crate) mod incremental;
mod inputs;
mod layering_setting;
mod layers;
mod links;
mod listing;
#[cfg(feature = "registry")]
pub(crate) mod lock;
#[cfg(feature = "registry")]
mod lock_use;
mod merge;
mod merged_layer;
mod nar_size;
mod notices;
mod origin;
pub(crate) mod output;
mod overrides;
mod owners;
mod packages;
mod placer;
mod plan;
mod planning;
mod platforms;
#[cfg(feature = "registry")]
mod push;
mod read_stream_conf;
mod recipe;
mod reference;
mod removals;
mod replaced;
mod run_settings;
mod settings;
mod single_paths;
mod sorter;
mod source_paths;
mod split;
mod step_closure;
mod step_state;
mod steps;
mod stream_conf;
mod tables;
mod tag;
mod tar_contents;
mod tar_members;
mod walk;
mod write_image;

pub use annotations::Annotations;
pub use assemble::{assemble, assemble_all};
pub use cache::{CacheUse, cache_problem};
pub use error::BuildError;
pub use explain::{
    ExplainedEntry, ExplainedField, ExplainedLayer, ExplainedPath, ExplainedVariable, Explanation,
    Origin, OriginKind, explain, explain_path,
};
pub use format::{Format, Options, Output};
pub use layers::{LayerOutline, read_path_graph};
#[cfg(feature = "registry")]
pub use lock_use::LockUse;
pub use overrides::Overrides;
pub use plan::Plan;
pub use planning::plan;
#[cfg(feature = "registry")]
pub(crate) use push::{PushedImage, PushedImages, bill_of_materials, push, push_images};
pub use recipe::{Recipe, Store, TimeSetting};
pub use reference::references;
pub use stream_conf::stream_conf;
