//! The output of planned images: layers, config and names, to archives and registries.
//!
//! Decides nothing about the image except for a derived tag: everything else is in the plan. How
//! the formats look is up to [`archive`](crate::archive).

mod assemble;
mod described;
mod format;
mod image_config;
#[cfg(feature = "vm")]
pub(crate) mod incremental;
#[cfg(feature = "registry")]
mod push;
mod reference;
mod stream_conf;
mod tag;
mod write_image;

pub use assemble::{assemble, assemble_all};
pub(super) use described::{DescribedImage, describe};
pub use format::{Format, Options, Output};
#[cfg(feature = "registry")]
pub(crate) use push::{PushedImage, PushedImages, bill_of_materials, push, push_images};
pub use reference::references;
pub use stream_conf::stream_conf;
