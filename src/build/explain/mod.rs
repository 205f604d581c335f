//! Where everything in an image comes from: environment, config, layers and files.
//!
//! Reads plans, and builds the image into a temporary file to look at its files.

mod config;
mod layers;
mod origin;
mod path;
mod placed;

pub use config::{ExplainedField, ExplainedVariable};
pub use layers::ExplainedLayer;
pub use origin::{Origin, OriginKind};
pub use path::{ExplainedEntry, ExplainedPath, explain_path};

use crate::build::BuildError;
use crate::build::plan::Plan;

/// The origins of everything in an image except its files.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Explanation {
    /// The environment, in order.
    pub env: Vec<ExplainedVariable>,
    /// The other fields of `config`, also those of the base that are left out.
    pub config: Vec<ExplainedField>,
    /// Facts about the image outside of `config`.
    pub image: Vec<ExplainedField>,
    /// The layers, lowest first.
    pub layers: Vec<ExplainedLayer>,
}

/// Explains the image of `plan`, without reading files.
///
/// # Errors
/// If the environment of the base image is invalid.
pub fn explain(plan: &Plan) -> Result<Explanation, BuildError> {
    Ok(Explanation {
        env: config::environment(plan)?,
        config: config::fields(plan)?,
        image: config::image(plan),
        layers: layers::layers(plan),
    })
}
