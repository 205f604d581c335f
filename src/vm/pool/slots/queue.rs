//! Waits for a VM slot: a lock on one of the files in a folder. The process that holds a slot
//! writes its ID and command line into the file, for those who wait.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::count::{count, host_cpus};
use super::idle;
use super::owners::{OwnVms, Registration};
use super::ticket::Ticket;
use crate::document;
use crate::text;
use crate::vm::VmError;
use crate::vm::folders::cache_folder;
use crate::vm::locks::Lock;

/// The permission to run a VM, until it is dropped or the process exits.
#[derive(Debug)]
pub(in crate::vm) struct VmSlot {
    /// The number of other VMs that were running when this slot was acquired.
    pub(super) others: u64,
    lock: Lock,
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

impl Drop for VmSlot {
    fn drop(&mut self) {
        let _ = self.lock.file().set_len(0);
    }
}

/// The timeout for a slot: longer than any VM runs in tests.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// How long a task waits for itself: its own VM may fail to start, and end.
const OWN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a process may wait silently for others that are about to acquire a slot.
const SILENT_WAIT: Duration = Duration::from_millis(300);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The time after which a process reports again that it waits: the VMs of a command wait one after
/// the other.
const REPEAT_AFTER: Duration = Duration::from_secs(10 * 60);
/// The most characters of a command that holds a slot.
const COMMAND_WIDTH: usize = 24;

/// The time of the last report.
static REPORTED: Mutex<Option<Instant>> = Mutex::new(None);
/// The function of [`report_waiting`].
static REPORT: OnceLock<fn(&str)> = OnceLock::new();

/// Sets the function that is called when a VM has to wait for a slot, with a message that names
/// those who use them. The first call counts: the command line sets it before the harness does.
pub(crate) fn report_waiting(report: fn(&str)) {
    let _ = REPORT.set(report);
}

/// Waits for a VM slot. If all are in use, reports who uses them.
///
/// # Errors
/// If none is free in time, or the task waits for a slot that it holds itself.
pub(in crate::vm) async fn acquire(memory_mib: u32, own: OwnVms) -> Result<VmSlot, VmError> {
    let (folder, count) = (cache_folder("slots")?, count(memory_mib)?);
    let limits = Limits { other: TIMEOUT, own: OWN_TIMEOUT };
    let mut report = |message: &str| match REPORT.get() {
        Some(report) if is_new(&REPORTED) => report(message),
        _ => {}
    };
    wait(&folder, count, own, limits, &mut report).await
}

/// Whether nothing was reported for a while. If so, notes that something is now.
fn is_new(reported: &Mutex<Option<Instant>>) -> bool {
    let mut reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = reported.is_none_or(|since| since.elapsed() >= REPEAT_AFTER);
    if is_new {
        *reported = Some(Instant::now());
    }
    is_new
}

/// How long to wait for other tasks and processes, and for the task itself.
#[derive(Clone, Copy, Debug)]
struct Limits {
    other: Duration,
    own: Duration,
}

async fn wait(
    folder: &Path,
    count: u64,
    own: OwnVms,
    limits: Limits,
    report: &mut (dyn FnMut(&str) + Send),
) -> Result<VmSlot, VmError> {
    let (waiting, ticket) = (Registration::waits(folder, own), Ticket::take(folder)?);
    let start = Instant::now();
    let (mut reported, mut for_itself) = (false, None);
    loop {
        let is_next = ticket.is_next()?;
        if is_next && let Some((lock, others)) = take(folder, count)? {
            return Ok(VmSlot { lock, others, registration: waiting.holds() });
        }
        if is_next {
            idle::end_all();
        }
        if !reported && (is_next || start.elapsed() >= SILENT_WAIT) {
            report(&format!("waiting for a VM slot; {}", holders(folder, count)));
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
            let holders = holders(folder, count);
            return Err(VmError::SlotTimeout { limit: limits.other, holders });
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Acquires a free slot, and returns it with the number of slots that are in use. The caller's
/// ticket is next.
fn take(folder: &Path, count: u64) -> Result<Option<(Lock, u64)>, VmError> {
    // Counts the free slots by acquiring all of them, and releases all but the first at once.
    let locks = (0..count).map(|slot| Lock::try_acquire(&file(folder, slot)));
    let mut free: Vec<Lock> = locks.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let others = count - free.len() as u64;
    if free.is_empty() {
        return Ok(None);
    }
    let lock = free.swap_remove(0);
    let command: Vec<_> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let holder = format!("{} {}", std::process::id(), command.join(" "));
    // Without it, others do not see who holds the slot.
    let _ = lock.file().set_len(0).and_then(|()| lock.file().write_all(holder.as_bytes()));
    Ok(Some((lock, others)))
}

fn file(folder: &Path, slot: u64) -> PathBuf {
    folder.join(slot.to_string())
}

/// Returns a command without the folder of its program.
fn in_short(command: &str) -> &str {
    let program = command.split(' ').next().unwrap_or(command);
    let folder = program.rfind('/').map_or(0, |slash| slash + 1);
    &command[folder..]
}

/// Describes the processes that hold slots.
fn holders(folder: &Path, count: u64) -> String {
    let holders = (0..count).filter_map(|slot| {
        let holder = document::read_bytes(&file(folder, slot), document::MAX_SIZE).ok()?;
        let holder = String::from_utf8_lossy(&holder);
        let (pid, command) = holder.split_once(' ')?;
        // A process that was killed has left its description.
        let runs = pid.parse::<u32>().is_ok_and(|pid| Path::new(&format!("/proc/{pid}")).exists());
        let is_this = pid == std::process::id().to_string();
        runs.then(|| match is_this {
            true => "this process".to_owned(),
            false => format!("process {pid} ({})", text::fit(in_short(command), COMMAND_WIDTH)),
        })
    });
    let mut holders: Vec<String> = holders.collect();
    let mut seen = BTreeSet::new();
    holders.retain(|holder| seen.insert(holder.clone()));
    let slots = if count == 1 { "the only one is".to_owned() } else { format!("all {count} are") };
    match holders.is_empty() {
        true => format!("{slots} in use"),
        false => format!("{slots} in use, by {}", holders.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::vm::pool::{IdleVm, Task, end_if_needed};

    const LIMITS: Limits =
        Limits { other: Duration::from_secs(60), own: Duration::from_millis(100) };

    async fn wait_silently(folder: &Path, count: u64, limits: Limits) -> Result<VmSlot, VmError> {
        wait(folder, count, OwnVms::Stay, limits, &mut |_| ()).await
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
            let slot = wait(&path, 2, OwnVms::Stay, LIMITS, &mut report).await;
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
            wait(&path, 1, OwnVms::Shared, LIMITS, &mut |_| ()).await.unwrap()
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
        let waits = tokio::spawn(async move { wait(&path, 1, own, LIMITS, &mut |_| ()).await });
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

    #[test]
    fn that_a_process_waits_is_reported_once_in_a_while() {
        let reported = Mutex::new(None);
        assert!(is_new(&reported) && !is_new(&reported));
        if let Some(earlier) = Instant::now().checked_sub(REPEAT_AFTER) {
            *reported.lock().unwrap() = Some(earlier);
            assert!(is_new(&reported));
        }
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
