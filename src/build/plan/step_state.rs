//! How the steps of a plan run, and what they made.

use std::sync::OnceLock;

use super::step_settings::StepSettings;
use crate::archive::pipeline::LayerInfo;
use crate::closure::StorePath;
use crate::steps::StepLayer;

/// How the steps of a plan run, the layers below them, and those that they made.
#[derive(Debug, Default)]
pub(in crate::build) struct StepState {
    pub(in crate::build) settings: StepSettings,
    /// The digests and sizes of the planned layers, once these are known.
    pub(in crate::build) planned: OnceLock<Vec<LayerInfo>>,
    pub(in crate::build) made: OnceLock<MadeLayers>,
}

/// The layers that steps made.
#[derive(Debug)]
pub(in crate::build) struct MadeLayers {
    /// One for each step, and one with `store_paths`, if there are any.
    pub(in crate::build) layers: Vec<StepLayer>,
    /// The store paths that the steps named and that the image did not have.
    pub(in crate::build) store_paths: Vec<StorePath>,
}

impl StepState {
    /// The store paths that the steps named, as far as these have run.
    pub(in crate::build) fn store_paths(&self) -> &[StorePath] {
        self.made.get().map_or(&[], |made| &made.store_paths)
    }
}
