//! Waits for a VM slot.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::count::{count, host_cpus};
use super::files::{HeldSlot, SlotFiles};
use super::idle;
use super::owners::{OwnVms, Registration};
use super::report::report;
use super::ticket::Ticket;
use crate::vm::VmError;
use crate::vm::folders::cache_folder;

/// The permission to run a VM, until it is dropped or the process exits.
#[derive(Debug)]
pub(in crate::vm) struct VmSlot {
    /// The number of other VMs that were running when this slot was acquired.
    pub(super) others: u64,
    #[allow(dead_code)] // until it is dropped
    slot: HeldSlot,
    #[allow(dead_code)] // until it is dropped
    registration: Registration,
}

impl VmSlot {
    /// Whether one thread should emulate all `cpus` of a VM, because this VM and the others need
    /// more CPUs than the host has.
    pub(in crate::vm) fn single_thread(&self, cpus: u32) -> bool {
        (1 + self.others) * u64::from(cpus) > host_cpus()
    }
}

/// The timeout for a slot: longer than any VM runs in tests.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// How long a task waits for itself: its own VM may fail to start, and end.
const OWN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a process may wait silently for others that are about to acquire a slot.
const SILENT_WAIT: Duration = Duration::from_millis(300);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits for a VM slot. If all are in use, reports who uses them.
///
/// # Errors
/// If none is free in time, or the task waits for a slot that it holds itself.
pub(in crate::vm) async fn acquire(memory_mib: u32, own: OwnVms) -> Result<VmSlot, VmError> {
    let (folder, count) = (cache_folder("slots")?, count(memory_mib)?);
    let limits = Limits { other: TIMEOUT, own: OWN_TIMEOUT };
    wait(SlotFiles { folder: &folder, count }, own, limits, &mut report).await
}

/// How long to wait for other tasks and processes, and for the task itself.
#[derive(Clone, Copy, Debug)]
struct Limits {
    other: Duration,
    own: Duration,
}

async fn wait(
    files: SlotFiles<'_>,
    own: OwnVms,
    limits: Limits,
    report: &mut (dyn FnMut(&str) + Send),
) -> Result<VmSlot, VmError> {
    let SlotFiles { folder, count } = files;
    let (waiting, ticket) = (Registration::waits(folder, own), Ticket::take(folder)?);
    let start = Instant::now();
    let (mut reported, mut for_itself) = (false, None);
    loop {
        let is_next = ticket.is_next()?;
        if is_next && let Some((slot, others)) = files.acquire()? {
            return Ok(VmSlot { slot, others, registration: waiting.holds() });
        }
        if is_next {
            idle::end_all();
        }
        if !reported && (is_next || start.elapsed() >= SILENT_WAIT) {
            report(&format!("waiting for a VM slot; {}", files.describe_holders()));
            reported = true;
        }
        for_itself = match own != OwnVms::End && waiting.waits_for_itself(count) {
            true => for_itself.or(Some(Instant::now())),
            false => None,
        };
        if for_itself.is_some_and(|since: Instant| since.elapsed() >= limits.own) {
            return Err(VmError::OwnSlots { count });
        }
        if start.elapsed() >= limits.other {
            let holders = files.describe_holders();
            return Err(VmError::SlotTimeout { limit: limits.other, holders });
        }
        sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::vm::locks::Lock;
    use crate::vm::pool::{IdleVm, Task, end_if_needed};

    const LIMITS: Limits =
        Limits { other: Duration::from_secs(60), own: Duration::from_millis(100) };

    async fn wait_silently(folder: &Path, count: u64, limits: Limits) -> Result<VmSlot, VmError> {
        wait(SlotFiles { folder, count }, OwnVms::Stay, limits, &mut |_| ()).await
    }

    #[tokio::test]
    async fn a_vm_without_a_slot_waits_until_another_one_ends() {
        let folder = tempfile::TempDir::new().unwrap();
        let first = wait_silently(folder.path(), 2, LIMITS).await.unwrap();
        let second = wait_silently(folder.path(), 2, LIMITS).await.unwrap();
        assert_eq!([first.others, second.others], [0, 1]);
        let path = folder.path().to_owned();
        let third = tokio::spawn(async move {
            let mut messages = Vec::new();
            let mut report = |message: &str| messages.push(message.to_owned());
            let slot =
                wait(SlotFiles { folder: &path, count: 2 }, OwnVms::Stay, LIMITS, &mut report)
                    .await;
            (slot.unwrap().others, messages)
        });
        sleep(Duration::from_millis(500)).await;
        assert!(!third.is_finished());
        drop(first);
        let (others, messages) = third.await.unwrap();
        assert_eq!(others, 1);
        assert_eq!(messages, ["waiting for a VM slot; all 2 are in use, by this process"]);
    }

    #[tokio::test]
    async fn a_task_that_holds_the_only_slot_cannot_get_another_one() {
        let folder = tempfile::TempDir::new().unwrap();
        let _slot = wait_silently(folder.path(), 1, LIMITS).await.unwrap();
        let error = wait_silently(folder.path(), 1, LIMITS).await.unwrap_err();
        assert!(matches!(error, VmError::OwnSlots { count: 1 }), "{error}");
    }

    #[tokio::test]
    async fn a_task_that_waits_for_a_shared_vm_to_end_is_noticed() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().to_owned();
        let shared = tokio::spawn(async move {
            wait(SlotFiles { folder: &path, count: 1 }, OwnVms::Shared, LIMITS, &mut |_| ())
                .await
                .unwrap()
        });
        let _slot = shared.await.unwrap();
        let error = wait_silently(folder.path(), 1, LIMITS).await.unwrap_err();
        assert!(matches!(error, VmError::OwnSlots { count: 1 }), "{error}");
    }

    #[tokio::test]
    async fn a_thread_that_waits_on_behalf_of_the_task_that_holds_the_slot_is_noticed() {
        let folder = tempfile::TempDir::new().unwrap();
        let _slot = wait_silently(folder.path(), 1, LIMITS).await.unwrap();
        let (path, own) = (folder.path().to_owned(), OwnVms::StayFor(Task::current()));
        let waits = tokio::spawn(async move {
            wait(SlotFiles { folder: &path, count: 1 }, own, LIMITS, &mut |_| ()).await
        });
        let error = waits.await.unwrap().unwrap_err();
        assert!(matches!(error, VmError::OwnSlots { count: 1 }), "{error}");
    }

    #[tokio::test]
    async fn an_idle_vm_ends_when_another_one_needs_its_slot() {
        struct Idle(Mutex<Option<VmSlot>>);
        impl IdleVm for Idle {
            fn end(&self) {
                self.0.lock().unwrap().take();
            }
        }
        let folder = tempfile::TempDir::new().unwrap();
        let first = wait_silently(folder.path(), 2, LIMITS).await.unwrap();
        let second = wait_silently(folder.path(), 2, LIMITS).await.unwrap();
        assert_eq!(second.others, 1);
        // From now on, another test that waits ends it, too.
        let idle = Arc::new(Idle(Mutex::new(Some(first))));
        end_if_needed(&idle);
        let third = wait_silently(folder.path(), 2, LIMITS).await.unwrap();
        assert!(idle.0.lock().unwrap().is_none());
        drop((second, third));
    }

    #[tokio::test]
    async fn two_tasks_that_wait_for_each_other_are_noticed() {
        let folder = tempfile::TempDir::new().unwrap();
        let task = |path: PathBuf| async move {
            let _slot = wait_silently(&path, 2, LIMITS).await.unwrap();
            sleep(Duration::from_millis(300)).await;
            wait_silently(&path, 2, LIMITS).await.map(drop)
        };
        let tasks = [(); 2].map(|()| tokio::spawn(task(folder.path().to_owned())));
        let [one, other] = tasks;
        let errors = [one.await.unwrap(), other.await.unwrap()];
        assert!(errors.iter().any(Result::is_err), "{errors:?}");
    }

    #[tokio::test]
    async fn waiting_for_another_process_times_out_and_names_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let slot = folder.path().join("0");
        let other = Lock::acquire(&slot).unwrap();
        let command = "1 /usr/local/bin/init check app.tar --engine podman-5.4";
        std::fs::write(&slot, command).unwrap();
        let limits = Limits { other: Duration::from_millis(400), ..LIMITS };
        let error = wait_silently(folder.path(), 1, limits).await.unwrap_err().to_string();
        let expected = "timed out after 0 min waiting for a VM slot; the only one is in use, by \
                        process 1 (init check app.tar --...)";
        assert_eq!(error, expected);
        drop(other);
        wait_silently(folder.path(), 1, LIMITS).await.unwrap();
    }
}
