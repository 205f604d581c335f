//! Which tasks of this process hold VM slots, and which wait for one: so that a task that waits for
//! itself is noticed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

/// Whether VMs that a task has started end while the same task waits for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnVms {
    /// They do: each of the task's concurrent parts ends its VM.
    End,
    /// They do not: the task goes on only when it has the other VM.
    Stay,
    /// As [`Stay`](Self::Stay), and the new VM belongs to this task, which waits for another
    /// thread that starts it.
    StayFor(Task),
    /// They do not, and neither does the new VM: it belongs to the process, not to a task.
    Shared,
}

/// A task of the async runtime, or a thread that runs a future outside of any task, as tests do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task(Owner);

impl Task {
    /// Returns the task that calls this.
    pub(crate) fn current() -> Self {
        let thread = || Owner::Thread(std::thread::current().id());
        Self(tokio::task::try_id().map_or_else(thread, Owner::Task))
    }
}

/// A task, a thread, or this process until it exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Task(tokio::task::Id),
    Thread(ThreadId),
    Process,
}

/// A slot that is held, or a task that waits for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    folder: PathBuf,
    owner: Owner,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Holds,
    Waits,
}

static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// The registration of a slot that is held, or of a task that waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Registration(Entry);

impl Registration {
    fn new(entry: Entry) -> Self {
        entries(|entries| entries.push(entry.clone()));
        Self(entry)
    }

    /// Registers that the current task waits for a slot in `folder`, or, for a shared VM, this
    /// process.
    pub(super) fn waits(folder: &Path, own: OwnVms) -> Self {
        let owner = match own {
            OwnVms::Shared => Owner::Process,
            OwnVms::StayFor(Task(owner)) => owner,
            OwnVms::End | OwnVms::Stay => Task::current().0,
        };
        Self::new(Entry { folder: folder.to_owned(), owner, state: State::Waits })
    }

    /// Registers that the same task holds a slot.
    pub(super) fn holds(&self) -> Self {
        Self::new(Entry { state: State::Holds, ..self.0.clone() })
    }

    /// Whether all `count` slots are held by this process and by tasks of it that wait themselves,
    /// and this one holds one of them, or the process does.
    pub(super) fn waits_for_itself(&self, count: u64) -> bool {
        entries(|entries| {
            let of_folder = |state| {
                let entries = entries.iter().filter(move |entry| entry.state == state);
                entries.filter(|entry| entry.folder == self.0.folder).map(|entry| entry.owner)
            };
            let waits = |owner: Owner| {
                owner == Owner::Process || of_folder(State::Waits).any(|waiting| waiting == owner)
            };
            let is_own = |owner: Owner| owner == Owner::Process || owner == self.0.owner;
            of_folder(State::Holds).count() as u64 >= count
                && of_folder(State::Holds).any(is_own)
                && of_folder(State::Holds).all(waits)
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        entries(|entries| {
            if let Some(index) = entries.iter().position(|entry| *entry == self.0) {
                entries.swap_remove(index);
            }
        });
    }
}

fn entries<T>(use_entries: impl FnOnce(&mut Vec<Entry>) -> T) -> T {
    use_entries(&mut ENTRIES.lock().unwrap_or_else(PoisonError::into_inner))
}
