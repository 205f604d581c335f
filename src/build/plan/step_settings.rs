//! How the steps of images run, and what reports on them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::steps::{Runner, StepEvent};

/// How the steps of an image run, and those of the recipes that it is built from. Clones share
/// their VMs.
#[derive(Clone, Default)]
pub struct StepSettings {
    vms: Option<Arc<Vms>>,
    observer: Option<Arc<Observer>>,
}

/// The runners for steps in VMs, by architecture.
struct Vms {
    runner: Box<NewRunner>,
    runners: Mutex<BTreeMap<String, Arc<dyn Runner>>>,
}

type NewRunner = dyn Fn(&str) -> Arc<dyn Runner> + Send + Sync;
type Observer = dyn Fn(StepEvent<'_>) + Send + Sync;

impl StepSettings {
    /// Runs the steps with `where = "vm"` by the runner that `runner` returns for an architecture,
    /// which is given by its Go name. Without one, they are errors.
    #[must_use]
    pub fn with_vms(
        self,
        runner: impl Fn(&str) -> Arc<dyn Runner> + Send + Sync + 'static,
    ) -> Self {
        let (runner, runners) = (Box::new(runner), Mutex::default());
        Self { vms: Some(Arc::new(Vms { runner, runners })), ..self }
    }

    /// Calls `observer` when a step begins, and with each line that it prints.
    #[must_use]
    pub fn observed_by(self, observer: impl Fn(StepEvent<'_>) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// The runner for steps in VMs of images for `architecture`.
    pub(in crate::build) fn vm(&self, architecture: &str) -> Option<Arc<dyn Runner>> {
        let vms = self.vms.as_ref()?;
        let mut runners = vms.runners.lock().unwrap_or_else(PoisonError::into_inner);
        let runner =
            runners.entry(architecture.to_owned()).or_insert_with(|| (vms.runner)(architecture));
        Some(Arc::clone(runner))
    }

    /// Whether events are observed.
    pub(in crate::build) fn has_observer(&self) -> bool {
        self.observer.is_some()
    }

    /// Passes `event` to the observer.
    pub(in crate::build) fn notify(&self, event: StepEvent<'_>) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

impl fmt::Debug for StepSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepSettings").finish_non_exhaustive()
    }
}
