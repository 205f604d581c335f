//! An image that was read completely, for static checks.

use std::path::Path;

use super::CheckError;
use crate::archive::tree::Tree;
use crate::archive::verify::VerifiedLayer;
use crate::archive::{Image, ImageSelector, open, verify};

/// An image that was read completely, and whose digests are correct.
#[derive(Debug)]
pub struct ImageUnderTest {
    /// The image.
    pub image: Image,
    /// The files of all layers together.
    pub(super) tree: Tree,
    /// The layers, lowest first.
    pub(super) layers: Vec<VerifiedLayer>,
    /// The number of threads that read its layers.
    pub(super) threads: usize,
}

impl ImageUnderTest {
    /// Reads the image at `path`.
    ///
    /// # Errors
    /// If there is no such image, or it is damaged.
    pub fn open(path: &Path, selector: &ImageSelector, threads: usize) -> Result<Self, CheckError> {
        Self::read(open(path, selector)?, threads)
    }

    /// Reads an opened image.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn read(image: Image, threads: usize) -> Result<Self, CheckError> {
        let layers = verify::layers(&image, threads)?;
        let tree = Tree::from_layers(layers.iter().map(|layer| layer.tree.clone()));
        Ok(Self { image, tree, layers, threads })
    }

    /// Returns the uncompressed sizes of the layers in bytes.
    pub(super) fn layer_sizes(&self) -> Vec<u64> {
        self.layers.iter().map(|layer| layer.size).collect()
    }

    /// Returns the image's first reference, or the path of the archive if the image has none.
    pub fn name(&self) -> String {
        let path = || self.image.path.display().to_string();
        self.image.references.first().cloned().unwrap_or_else(path)
    }
}
