//! The limit on the number of layers, and the layers that it leaves for store paths.

/// Docker rejects images with more layers (moby `layer/layer_store.go`, `maxLayerDepth`).
pub const MAX_LAYERS: usize = 125;

/// The maximum number of layers of an image, and the layers that are needed for other things than
/// store paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The maximum number of layers.
    pub max_layers: usize,
    /// The layers of the base image.
    pub base: usize,
    /// The layers with contents.
    pub contents: usize,
}

/// An image that would have too many layers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// The limit is out of range.
    #[error("max_layers is {0}; it must be between 1 and {MAX_LAYERS}, which is Docker's limit")]
    Range(usize),
    /// The image needs more layers than the limit.
    #[error(
        "max_layers is {max_layers}, but the base image has {base} {layers} and {new} more {are} \
         needed; raise max_layers to at least {least}",
        layers = if *base == 1 { "layer" } else { "layers" },
        are = if *new == 1 { "is" } else { "are" },
        least = base + new
    )]
    TooFew {
        /// The limit.
        max_layers: usize,
        /// The base image's layers.
        base: usize,
        /// The minimum number of new layers.
        new: usize,
    },
}

impl Budget {
    /// The number of layers for `paths` store paths: at least one if there are any.
    ///
    /// # Errors
    /// If the limit is out of range, or too low for the base, the contents, and one layer for store
    /// paths.
    pub fn available(self, paths: usize) -> Result<usize, BudgetError> {
        let Self { max_layers, base, contents } = self;
        if !(1..=MAX_LAYERS).contains(&max_layers) {
            return Err(BudgetError::Range(max_layers));
        }
        let new = contents + usize::from(paths > 0);
        if base + new > max_layers {
            return Err(BudgetError::TooFew { max_layers, base, new });
        }
        Ok(max_layers - base - contents)
    }
}
