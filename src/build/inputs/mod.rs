//! The inputs of an image: the base, the contents and the store on this host.
//!
//! Finds and opens what a recipe names, and reads of it what plans need: names and metadata, the
//! reference graph, and accounts. Where contents appear in the image is decided by `place`, and in
//! which layer by `plan`.

mod account_files;
mod added_certificates;
mod base;
#[cfg(feature = "registry")]
mod base_layers;
mod closure;
mod contents;
mod host_store;
mod image_contents;
#[cfg(feature = "registry")]
pub(crate) mod lock;
mod nar_size;
mod notices;
mod outputs;
mod owners;
pub(super) mod walk;

pub(super) use account_files::ImageAccounts;
pub(super) use added_certificates::note as note_added_certificates;
pub(super) use base::{Base, BuiltLayers, open_base};
pub(super) use closure::{closure, graph, missing_in_base, resolved_store_dir, whole_graph};
pub(super) use contents::{Content, FinishedLayer, PlannedPath, contents, finished_layers};
pub(super) use host_store::HostStore;
pub(super) use image_contents::{ImageReading, open_image_contents};
pub(super) use nar_size::nar_size;
pub(super) use notices::Notices;
pub(super) use outputs::KnownOutputs;
pub use outputs::Outputs;
pub(crate) use outputs::is_replaceable;
pub(super) use owners::{planned_paths, set_owners};
