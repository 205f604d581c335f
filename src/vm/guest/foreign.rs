//! Whether this host runs programs of another architecture, as Debian packages do while they are
//! installed.

use std::fs;

use crate::vm::VmError;
use crate::vm::guest::MachineType;

/// The folder in which the kernel lists the interpreters for programs.
const REGISTRY: &str = "/proc/sys/fs/binfmt_misc";

/// Checks that this host runs programs of the machine type's architecture in any root, because the
/// kernel starts QEMU for them (Linux `Documentation/admin-guide/binfmt-misc.rst`; flag F: QEMU was
/// opened when it was registered).
///
/// # Errors
/// If it does not; the error contains instructions.
pub(in crate::vm) fn check(guest: &str, machine_type: &MachineType) -> Result<(), VmError> {
    let registration = format!("{REGISTRY}/qemu-{}", machine_type.machine_name);
    let registration = fs::read_to_string(registration).unwrap_or_default();
    let mut lines = registration.lines();
    let enabled = lines.next() == Some("enabled");
    let mut flags = lines.filter_map(|line| line.strip_prefix("flags:"));
    match enabled && flags.any(|flags| flags.contains('F')) {
        true => Ok(()),
        false => Err(VmError::ForeignArchitecture {
            guest: guest.to_owned(),
            architecture: machine_type.arch.goarch(),
            machine: machine_type.machine_name,
        }),
    }
}
