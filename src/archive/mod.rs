//! Image formats: reads docker-archives and OCI layouts, and writes them with a deterministic tar
//! writer and compression.
//!
//! Images come from others and are treated as hostile: names, links and sizes are checked, records
//! have limits, and every digest is computed again. This module decides nothing about the contents
//! of an image; that is the task of [`build`](crate::build).

pub mod blob;
pub(crate) mod blob_cache;
pub(crate) mod compress;
mod compression;
mod decoder_memory;
pub mod decompress;
pub mod diff;
pub(crate) mod docker;
pub mod entry;
mod error;
mod file_info;
pub mod files;
pub mod flatten;
mod folder;
pub mod header;
pub(crate) mod host;
mod image;
pub(crate) mod image_files;
mod image_start;
mod invalid_data;
mod json;
pub mod layer;
mod layer_cache;
mod layer_files;
pub mod layer_tree;
pub mod limits;
pub(crate) mod linked_files;
mod list_ahead;
mod location;
mod member_entry;
mod members;
pub mod merge;
mod not_an_image;
pub(crate) mod oci;
pub(crate) mod open;
pub mod pipeline;
pub mod resolve;
pub mod sink;
pub(crate) mod spool;
pub mod tar;
pub mod tar_file;
pub mod tree;
pub mod verify;
pub(crate) mod write;

pub use compression::Compression;
pub use entry::{Attributes, Entry, Kind};
pub use error::ArchiveError;
pub use flatten::FileSystem;
pub use image::{Image, ImageFormat, ImageSelector};
#[cfg(feature = "registry")]
pub(crate) use image::{StoredLayer, check_layer_count, pair_layers};
#[cfg(feature = "registry")]
pub(crate) use image_files::parse_config;
pub(crate) use image_start::is_own_image;
pub use limits::Limits;
pub(crate) use location::check_spelling;
pub use location::open_location;
pub use open::{open, open_file};
