//! The inputs of an image: the base, the contents and the store on this host.
//!
//! Finds and opens what a recipe names, and reads of it what plans need: names and metadata, the
//! reference graph, and accounts. Where contents appear in the image is decided by `place`, and in
//! which layer by `plan`.

mod account_files;
pub(super) mod base;
#[cfg(feature = "registry")]
mod base_layers;
pub(super) mod contents;
pub(super) mod given_layers;
mod host_store;
#[cfg(feature = "registry")]
pub(crate) mod lock;
mod notices;
pub(super) mod owners;
pub(super) mod walk;

pub(super) use account_files::ImageAccounts;
pub(super) use base::Base;
pub(super) use contents::{Content, FinishedLayer, PlannedPath, resolved_store_dir};
pub(super) use host_store::HostStore;
pub(super) use notices::Notices;
