//! VMs of this process that wait for their next use. They end if another VM of this process needs a
//! VM slot.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The owner of a VM that may be waiting for its next use.
pub(crate) trait IdleVm: Send + Sync {
    /// Ends the VM if it is not in use.
    fn end(&self);
}

static IDLE: Mutex<Vec<Weak<dyn IdleVm>>> = Mutex::new(Vec::new());

/// Ends the VM of `idle` when another VM of this process needs a VM slot and none is free.
pub(crate) fn end_if_needed(idle: &Arc<impl IdleVm + 'static>) {
    let idle: Weak<dyn IdleVm> = Arc::downgrade(idle) as _;
    let mut all = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&idle));
    all.push(idle);
}

/// Ends all VMs that are not in use.
pub(super) fn end_all() {
    // Copied, because ending a VM takes some milliseconds.
    let all = IDLE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    all.iter().filter_map(Weak::upgrade).for_each(|idle| idle.end());
}
