//! The strategies, and the errors of those that do not fit an image.

use std::str::FromStr;
use std::sync::Arc;

use super::graph::PathGraph;
use super::named::LayerPlan;
use super::pipeline::{Pipeline, RunError, UnknownPath};
use super::{auto, balanced, popularity};
use crate::closure::StorePath;
use crate::text;
use crate::text::suggest;

/// How files are split into layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// A layer for each of the most popular store paths (see [`popularity`]), one for the other
    /// store paths, and one for the contents.
    #[default]
    Popularity,
    /// A layer for each of the largest store paths, with what only it needs, and one for the
    /// contents: the default of nixpkgs' dockerTools.
    Auto,
    /// Layers for which updates transfer few bytes: what changes together shares a layer, and large
    /// store paths share theirs with few others. One more is for the contents.
    Balanced,
    /// The layers that a pipeline makes of the store paths, and one for the contents.
    Pipeline(Arc<Pipeline>),
    /// The layers of a plan, by the names of packages, and one for the contents.
    Plan(Arc<LayerPlan>),
    /// One layer for everything.
    Single,
}

/// The names of strategies.
const NAMES: [&str; 4] = ["auto", "balanced", "popularity", "single"];

/// A text that does not name a strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// The name that `popularity` had before.
    #[error("layering \"layered\" is now called \"popularity\"")]
    Renamed,
    /// Any other text.
    #[error("unknown layering {}{hint}", text::quote(name))]
    Unknown {
        /// The text.
        name: String,
        /// The nearest name, or all names, as the end of a sentence.
        hint: String,
    },
}

/// A strategy that does not fit an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayeringError {
    /// A pipeline names a path that the closure does not have.
    #[error(transparent)]
    UnknownPath(#[from] UnknownPath),
    /// An operation of a pipeline cannot be applied.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A pipeline makes more layers than there may be.
    #[error(
        "layering: the pipeline makes {layers} layers, but max_layers leaves {available} for store \
         paths; end it with [\"flatten\"], [\"limit_layers\", {available}], or raise max_layers"
    )]
    TooMany {
        /// The number of layers.
        layers: usize,
        /// The maximum number.
        available: usize,
    },
}

impl FromStr for Strategy {
    type Err = StrategyError;

    fn from_str(text: &str) -> Result<Self, StrategyError> {
        match text {
            "auto" => Ok(Self::Auto),
            "balanced" => Ok(Self::Balanced),
            "popularity" => Ok(Self::Popularity),
            "single" => Ok(Self::Single),
            "layered" => Err(StrategyError::Renamed),
            other => {
                let nearest = suggest::nearest(other, NAMES);
                let hint = match nearest {
                    Some(_) => suggest::hint(&nearest),
                    None => format!("; expected {}, or a pipeline", text::quoted_list(NAMES)),
                };
                Err(StrategyError::Unknown { name: other.to_owned(), hint })
            }
        }
    }
}

impl Strategy {
    /// Whether the split depends on the sizes of paths.
    pub fn needs_sizes(&self) -> bool {
        matches!(self, Self::Auto | Self::Balanced | Self::Pipeline(_))
    }

    /// Splits the paths of `graph` into at most `available` layers, lowest first. No layer is
    /// empty, and the paths of a layer are sorted.
    ///
    /// With `available` zero the result is empty;
    /// [`Budget::available`](super::Budget::available) never returns zero for a closure that has
    /// paths.
    ///
    /// # Errors
    /// If the strategy is a pipeline that does not fit the graph, or makes too many layers.
    pub fn layers(
        &self,
        graph: &PathGraph,
        available: usize,
    ) -> Result<Vec<Vec<StorePath>>, LayeringError> {
        if graph.is_empty() || available == 0 {
            return Ok(Vec::new());
        }
        let all = || (0..graph.len()).collect::<Vec<usize>>();
        match self {
            Self::Auto => Ok(auto::layers(graph, available)),
            Self::Balanced => Ok(balanced::layers(graph, available)),
            Self::Popularity => {
                let ranked = popularity::ranked_among(graph, &all(), graph.references());
                Ok(graph.named(one_each(ranked, available)))
            }
            Self::Single => Ok(graph.named([all()])),
            Self::Plan(plan) => Ok(plan.split(graph, available)),
            Self::Pipeline(pipeline) => {
                let layers = pipeline.layers(graph)?;
                match layers.len() > available {
                    true => Err(LayeringError::TooMany { layers: layers.len(), available }),
                    false => Ok(layers),
                }
            }
        }
    }
}

/// Gives each of the first `ranked` paths a layer; those that exceed `available` share the last.
fn one_each(mut ranked: Vec<usize>, available: usize) -> Vec<Vec<usize>> {
    let rest = ranked.split_off(ranked.len().min(available.saturating_sub(1)));
    ranked.into_iter().map(|path| vec![path]).chain([rest]).collect()
}
