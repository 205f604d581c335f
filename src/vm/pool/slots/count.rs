//! The number of VM slots.

use crate::vm::VmError;

/// Returns the number of CPUs of this host.
pub(super) fn host_cpus() -> u64 {
    std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64)
}

/// The environment variable that sets the number of slots.
pub(in crate::vm) const VARIABLE: &str = "SEATRIAL_VMS";
/// Its former name.
const OLD_VARIABLE: &str = "SEATRIAL_MACHINES";

/// The memory in MiB that QEMU and its translated code need in addition to the guest's memory.
const QEMU_MEMORY_MIB: u64 = 512;

/// Returns the number of slots for VMs of `memory_mib`: one for each CPU, because a busy VM uses at
/// least one, but no more than fit into three quarters of the memory.
///
/// # Errors
/// If the environment variable is set under its former name, or to something else than a number.
pub(in crate::vm) fn count(memory_mib: u32) -> Result<u64, VmError> {
    if std::env::var_os(OLD_VARIABLE).is_some() {
        return Err(VmError::RenamedVariable { old: OLD_VARIABLE, new: VARIABLE });
    }
    if let Some(value) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        let count = value.to_str().and_then(|text| text.parse().ok());
        return count.filter(|count| *count > 0).ok_or_else(|| VmError::InvalidVariable {
            name: VARIABLE,
            value: value.to_string_lossy().into_owned(),
            expected: "a number of VMs, at least 1",
        });
    }
    let available = total_memory_mib().unwrap_or(u64::MAX) / 4 * 3;
    Ok(host_cpus().min(available / (u64::from(memory_mib) + QEMU_MEMORY_MIB)).max(1))
}

/// Checks the environment variables that set the number of VM slots.
///
/// # Errors
/// If one has an invalid value or a former name.
pub(crate) fn check_variables() -> Result<(), VmError> {
    count(0).map(drop)
}

fn total_memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().split(' ').next()?.parse().ok()?;
    Some(kib / 1024)
}
