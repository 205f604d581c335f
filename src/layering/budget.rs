//! How many layers an image may have, and how many of them are left for store paths.

/// Docker refuses to stack more (moby `layer/layer_store.go`, `maxLayerDepth`).
pub const DEEPEST: usize = 125;

/// The layers an image may have and those that are spoken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The most layers the image may have.
    pub max_layers: usize,
    /// The layers of the base image.
    pub base: usize,
    /// The layers that hold something else than store paths alone: the contents.
    pub contents: usize,
}

/// A budget that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// The limit itself is out of range.
    #[error(
        "max_layers is {0}; it must lie between 1 and {DEEPEST}, the deepest stack that Docker takes"
    )]
    Range(usize),
    /// More layers are needed than allowed.
    #[error(
        "max_layers is {max_layers}, but the base image has {base} layers and {own} more are needed; \
         raise max_layers to at least {least}", least = base + own
    )]
    TooFew {
        /// The limit.
        max_layers: usize,
        /// The base image's layers.
        base: usize,
        /// The fewest layers that must be added.
        own: usize,
    },
}

impl Budget {
    /// How many layers store paths may use, where there are `paths` of them: at least one if there is any
    /// path.
    ///
    /// # Errors
    /// When the limit is out of range, or the base image, the contents and one layer for store paths go
    /// beyond it.
    pub fn available(self, paths: usize) -> Result<usize, BudgetError> {
        let Self { max_layers, base, contents } = self;
        if !(1..=DEEPEST).contains(&max_layers) {
            return Err(BudgetError::Range(max_layers));
        }
        let own = contents + usize::from(paths > 0);
        if base + own > max_layers {
            return Err(BudgetError::TooFew { max_layers, base, own });
        }
        Ok(max_layers - base - contents)
    }
}
