//! Image formats: reading docker-archives and OCI layouts, the deterministic tar writer, compression.
//!
//! What is read here was written by others and is hostile until proven sound: names, links and sizes are
//! checked, records have limits, every digest is computed anew. What an image should contain is decided
//! above, in [`build`](crate::build); here it is only read and written.

pub mod blob;
pub mod compress;
pub mod decompress;
pub mod docker;
pub mod entry;
mod error;
pub mod files;
pub mod header;
pub mod layer;
mod members;
pub mod oci;
pub mod open;
pub mod pipeline;
pub mod sink;
pub(crate) mod spool;
pub mod store;
pub mod tar;
pub mod tree;
pub mod verify;

pub use compress::Compression;
pub use entry::{Attributes, Entry, Kind};
pub use error::ArchiveError;
pub use open::{Image, ImageSelector, open};
