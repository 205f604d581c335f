//! Programs of another architecture on this host: what Debian's packages run when they are installed.

use std::fs;

use crate::vm::VmError;
use crate::vm::guest::MachineType;

/// Whether programs of `machine_type`'s architecture run on this host, in any root: the kernel starts QEMU for them
/// (Linux `Documentation/admin-guide/binfmt-misc.rst`; flag F: QEMU was opened when it was registered).
///
/// # Errors
/// When they do not; the error says how to have them.
pub(in crate::vm) fn runs(guest: &str, machine_type: &MachineType) -> Result<(), VmError> {
    let registered = fs::read_to_string(format!("{REGISTRY}/qemu-{}", machine_type.machine_name))
        .unwrap_or_default();
    let mut lines = registered.lines();
    let enabled = lines.next() == Some("enabled");
    match enabled
        && lines.any(|line| line.strip_prefix("flags:").is_some_and(|flags| flags.contains('F')))
    {
        true => Ok(()),
        false => Err(VmError::Foreign {
            guest: guest.to_owned(),
            architecture: machine_type.arch.goarch(),
            machine: machine_type.machine_name,
        }),
    }
}

/// Where the kernel has what it starts programs with.
const REGISTRY: &str = "/proc/sys/fs/binfmt_misc";
