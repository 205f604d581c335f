//! How many machines run at once: whoever wants one more waits for its turn, across all processes of the user,
//! rather than have all of them crawl.

use std::path::Path;
use std::time::Duration;

use crate::vm::VmError;
use crate::vm::folders::{Lock, cached};

/// The right to run a machine. PausedVm until dropped, or until the process ends.
#[derive(Debug)]
pub(in crate::vm) struct VmSlot {
    #[allow(dead_code)] // held
    place: Lock,
    /// How many others ran when it came.
    others: u64,
}

impl VmSlot {
    /// Whether a machine with so many CPUs and those that run beside it want more CPUs than the host has.
    pub(in crate::vm) fn single_thread(&self, cpus: u32) -> bool {
        (1 + self.others) * u64::from(cpus) > host_cpus()
    }
}

fn host_cpus() -> u64 {
    std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64)
}

/// The variable that sets how many machines may run at once.
pub const MACHINES: &str = "SEATRIAL_MACHINES";

/// What a busy machine takes beside its own memory: QEMU and the code it translated, in MiB.
const BESIDE_MIB: u64 = 512;

/// How long a turn is waited for: longer than any one machine runs in tests.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// How often the next in line looks for a free place.
const PAUSE: Duration = Duration::from_millis(50);

/// How many machines of `memory_mib` may run at once: as many as there are CPUs, for a busy one keeps at least
/// one busy, and no more than fit into three quarters of the memory.
pub(in crate::vm) fn places(memory_mib: u32) -> u64 {
    if let Some(asked) = std::env::var(MACHINES).ok().and_then(|text| text.parse().ok()) {
        return u64::max(asked, 1);
    }
    let total = total_memory_mib().unwrap_or(u64::MAX) / 4 * 3;
    host_cpus().min(total / (u64::from(memory_mib) + BESIDE_MIB)).max(1)
}

fn total_memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?
        .trim()
        .split(' ')
        .next()?
        .parse()
        .ok()?;
    Some(kib / 1024)
}

/// Waits for a turn. Those who wait get theirs in the order of asking.
pub(in crate::vm) async fn acquire(memory_mib: u32) -> Result<VmSlot, VmError> {
    let folder = cached("turns")?;
    let waits = crate::vm::blocking(move || wait(&folder, places(memory_mib)));
    let what = "a turn to run a machine, which others run too many of,".to_owned();
    tokio::time::timeout(LIMIT, waits).await.unwrap_or(Err(VmError::Busy { what, limit: LIMIT }))
}

fn wait(folder: &Path, places: u64) -> Result<VmSlot, VmError> {
    let _first_in_line = Lock::wait(&folder.join("line"))?;
    loop {
        // All that can be had, and all but the first given back at once: nobody else looks meanwhile.
        let mut free = (0..places).filter_map(|place| Lock::take(&folder.join(place.to_string())));
        if let Some(place) = free.next() {
            return Ok(VmSlot { place, others: places - 1 - free.count() as u64 });
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_there_are_places_waits_until_one_is_free() {
        let folder = tempfile::TempDir::new().unwrap();
        let first = wait(folder.path(), 2).unwrap();
        let second = wait(folder.path(), 2).unwrap();
        assert_eq!([first.others, second.others], [0, 1]);
        let path = folder.path().to_owned();
        let third = std::thread::spawn(move || wait(&path, 2).map(drop));
        assert!(Lock::take(&folder.path().join("0")).is_none());
        assert!(!third.is_finished());
        drop(first);
        third.join().unwrap().unwrap();
    }
}
