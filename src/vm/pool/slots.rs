//! VM slots: the number of concurrent VMs is limited, across all processes of the user. A VM that
//! does not get a slot waits for one, because too many VMs would all become too slow.

use std::path::Path;
use std::time::Duration;

use crate::vm::VmError;
use crate::vm::folders::{Lock, cache_folder};

/// The permission to run a VM, until it is dropped or the process exits.
#[derive(Debug)]
pub(in crate::vm) struct VmSlot {
    #[allow(dead_code)] // keeps the lock
    lock: Lock,
    /// The number of other VMs that were running when this slot was acquired.
    others: u64,
}

impl VmSlot {
    /// Whether one thread should emulate all `cpus` of a VM, because this VM and the others need
    /// more CPUs than the host has.
    pub(in crate::vm) fn single_thread(&self, cpus: u32) -> bool {
        (1 + self.others) * u64::from(cpus) > host_cpus()
    }
}

fn host_cpus() -> u64 {
    std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64)
}

/// The environment variable that sets the number of slots.
pub(in crate::vm) const VARIABLE: &str = "SEATRIAL_VMS";
/// Its former name.
const OLD_VARIABLE: &str = "SEATRIAL_MACHINES";

/// The memory in MiB that QEMU and its translated code need in addition to the guest's memory.
const QEMU_MEMORY_MIB: u64 = 512;

/// The timeout for a slot: longer than any VM runs in tests.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Returns the number of slots for VMs of `memory_mib`: one for each CPU, because a busy VM uses at
/// least one, but no more than fit into three quarters of the memory.
///
/// # Errors
/// If the environment variable is set under its former name.
pub(in crate::vm) fn count(memory_mib: u32) -> Result<u64, VmError> {
    if std::env::var_os(OLD_VARIABLE).is_some() {
        return Err(VmError::RenamedVariable { old: OLD_VARIABLE, new: VARIABLE });
    }
    if let Some(count) = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok()) {
        return Ok(u64::max(count, 1));
    }
    let available = total_memory_mib().unwrap_or(u64::MAX) / 4 * 3;
    Ok(host_cpus().min(available / (u64::from(memory_mib) + QEMU_MEMORY_MIB)).max(1))
}

fn total_memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().split(' ').next()?.parse().ok()?;
    Some(kib / 1024)
}

/// Waits for a VM slot. Slots are given in the order of requests.
pub(in crate::vm) async fn acquire(memory_mib: u32) -> Result<VmSlot, VmError> {
    let (folder, count) = (cache_folder("slots")?, count(memory_mib)?);
    let slot = crate::vm::run_blocking(move || wait(&folder, count));
    let timed_out = Err(VmError::SlotTimeout { limit: TIMEOUT });
    tokio::time::timeout(TIMEOUT, slot).await.unwrap_or(timed_out)
}

fn wait(folder: &Path, count: u64) -> Result<VmSlot, VmError> {
    let _queue = Lock::acquire(&folder.join("queue"))?;
    loop {
        // Counts the free slots by acquiring all of them, and releases all but the first at once.
        // The queue's lock ensures that no other process tries to acquire one meanwhile.
        let mut free =
            (0..count).filter_map(|slot| Lock::try_acquire(&folder.join(slot.to_string())));
        if let Some(lock) = free.next() {
            return Ok(VmSlot { lock, others: count - 1 - free.count() as u64 });
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_without_a_slot_waits_until_another_one_ends() {
        let folder = tempfile::TempDir::new().unwrap();
        let first = wait(folder.path(), 2).unwrap();
        let second = wait(folder.path(), 2).unwrap();
        assert_eq!([first.others, second.others], [0, 1]);
        let path = folder.path().to_owned();
        let third = std::thread::spawn(move || wait(&path, 2).map(drop));
        assert!(Lock::try_acquire(&folder.path().join("0")).is_none());
        assert!(!third.is_finished());
        drop(first);
        third.join().unwrap().unwrap();
    }
}
