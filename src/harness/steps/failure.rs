//! Failures of the VM of a step.

use crate::harness::HarnessError;
use crate::steps::StepError;

/// The failure `error` of a VM of `guest`.
pub(super) fn vm_error(guest: &str, error: impl Into<HarnessError>) -> StepError {
    let error = error.into();
    let is_environment = error.is_environment();
    StepError::Vm { guest: guest.to_owned(), is_environment, source: Box::new(error) }
}
