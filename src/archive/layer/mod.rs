//! A layer as a list of entries, which determines every byte of its tar.
//!
//! The position of each byte follows from metadata, so a layer can be cut into segments that
//! threads produce independently, in any order. A long list of entries is stored in a temporary
//! file.

mod builder;
mod entries;
mod segment;

pub use builder::LayerBuilder;
pub(crate) use entries::file_list_failed;
pub use entries::{Fingerprint, Layer};
pub use segment::{SEGMENT_SIZE, Segment};
