//! A VM that is kept between runs: the next run does not start one, and its engine has the layers
//! that the image shares with the one before.

use std::sync::{Arc, Mutex, PoisonError};

use super::expectations::{ContainerSpec, ExpectationsFile};
use crate::harness::Daemon;
use crate::image::{DiffId, Digest};
use crate::vm::Options as VmOptions;
use crate::vm::pool::{IdleVm, end_if_needed};

/// Keeps the VM of a run for the next one.
///
/// The VM is not kept if a container may have changed it, because it was privileged or had
/// additional capabilities, or if the engine failed. It ends early if another VM of this process
/// needs its VM slot: that of a recipe's step, for example.
#[derive(Clone, Debug, Default)]
pub struct KeptVm(Arc<Mutex<Option<Kept>>>);

/// A VM after a run.
#[derive(Debug)]
pub(super) struct Kept {
    /// The name of the engine.
    pub engine: String,
    /// The options with which the VM was started.
    pub options: VmOptions,
    /// The VM.
    pub daemon: Daemon,
    /// The ID of the image that was tested.
    pub image: String,
    /// The layers of that image, lowest first.
    pub layers: Vec<DiffId>,
    /// The images of further containers.
    pub companions: Vec<KeptImage>,
}

/// The image of a further container in the engine of a VM that is kept.
#[derive(Clone, Debug)]
pub(super) struct KeptImage {
    /// The ID of the image that was loaded: the digest of its config.
    pub loaded: Digest,
    /// The name under which the engine has it.
    pub reference: String,
    /// The engine's ID of it, which may be another one.
    pub id: String,
}

impl KeptVm {
    /// Returns the VM, if there is one of `engine` with the network access and resources of
    /// `options`. It is no longer kept then.
    pub(super) fn take(&self, engine: &str, options: &VmOptions) -> Option<Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take_if(|kept| {
            kept.engine == engine
                && kept.options.allowed_egress() == options.allowed_egress()
                && kept.options.resources == options.resources
        })
    }

    /// Keeps a VM, and ends the one before.
    pub(super) fn keep(&self, vm: Kept) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(vm);
        end_if_needed(&self.0);
    }
}

impl IdleVm for Mutex<Option<Kept>> {
    fn end(&self) {
        drop(self.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Whether a container of `files` may change the VM that it runs in.
pub(super) fn may_change_vm(files: &[ExpectationsFile]) -> bool {
    files.iter().any(|file| file.expectations.containers().any(has_privileges))
}

fn has_privileges(container: &ContainerSpec) -> bool {
    container.privileged || !container.capabilities.add.is_empty()
}
