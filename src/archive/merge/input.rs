//! An archive that is merged.

use std::path::PathBuf;

use crate::archive::image::Image;
use crate::archive::oci::Layout;

/// An input.
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) images: Vec<Image>,
    /// The layout, if it is one and the output too.
    pub(super) layout: Option<Layout>,
}
