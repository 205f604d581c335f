//! Whether this host runs programs of another architecture, as Debian packages do while they are
//! installed.

use crate::linux::foreign;
use crate::vm::VmError;
use crate::vm::guest::MachineType;

/// Checks that this host runs programs of the machine type's architecture.
///
/// # Errors
/// If it does not; the error contains instructions.
pub(in crate::vm) fn check(guest: &str, machine_type: &MachineType) -> Result<(), VmError> {
    match foreign::runs(machine_type.machine_name) {
        true => Ok(()),
        false => Err(VmError::ForeignArchitecture {
            guest: guest.to_owned(),
            architecture: machine_type.arch.goarch(),
            machine: machine_type.machine_name,
        }),
    }
}
