//! How the steps of a plan run, and what they made.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::steps::{Runner, StepEvent, StepLayer};

/// How the steps of a plan run, and the layers that they made.
#[derive(Default)]
pub(super) struct StepState {
    pub(super) vm: Option<Arc<dyn Runner>>,
    pub(super) observer: Option<Box<Observer>>,
    pub(super) layers: OnceLock<Vec<StepLayer>>,
}

pub(super) type Observer = dyn Fn(StepEvent<'_>) + Send + Sync;

impl fmt::Debug for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepState").field("layers", &self.layers).finish_non_exhaustive()
    }
}
