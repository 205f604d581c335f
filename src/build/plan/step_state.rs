//! How the steps of a plan run, and what they made.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::closure::StorePath;
use crate::steps::{Runner, StepEvent, StepLayer};

/// How the steps of a plan run, and the layers that they made.
#[derive(Default)]
pub(in crate::build) struct StepState {
    pub(in crate::build) vm: Option<Arc<dyn Runner>>,
    pub(in crate::build) observer: Option<Box<Observer>>,
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

pub(super) type Observer = dyn Fn(StepEvent<'_>) + Send + Sync;

impl fmt::Debug for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepState").field("made", &self.made).finish_non_exhaustive()
    }
}
