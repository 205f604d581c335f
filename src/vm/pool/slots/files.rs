//! The files of VM slots. A process that holds a slot has locked its file, and written its ID and
//! command line into it, for those who wait.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::document;
use crate::text;
use crate::vm::VmError;
use crate::vm::locks::Lock;

/// The most characters of a command that holds a slot.
const COMMAND_WIDTH: usize = 24;

/// The files of all slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotFiles<'a> {
    /// The folder that has the files.
    pub(super) folder: &'a Path,
    pub(super) count: u64,
}

/// A slot that this process holds, until it is dropped or the process exits.
#[derive(Debug)]
pub(super) struct HeldSlot(Lock);

impl Drop for HeldSlot {
    fn drop(&mut self) {
        let _ = self.0.file().set_len(0);
    }
}

impl SlotFiles<'_> {
    /// Acquires a free slot, and returns it with the number of slots that are in use. Only one
    /// process at a time may call this.
    pub(super) fn acquire(&self) -> Result<Option<(HeldSlot, u64)>, VmError> {
        // Counts the free slots by acquiring all of them, and releases all but the first at once.
        let locks = self.files().map(|file| Lock::try_acquire(&file));
        let mut free: Vec<Lock> = locks.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let others = self.count - free.len() as u64;
        if free.is_empty() {
            return Ok(None);
        }
        let lock = free.swap_remove(0);
        // Without it, others do not see who holds the slot.
        let _ = lock.file().set_len(0).and_then(|()| lock.file().write_all(this().as_bytes()));
        Ok(Some((HeldSlot(lock), others)))
    }

    /// Describes the processes that hold the slots, all of which are in use.
    pub(super) fn describe_holders(&self) -> String {
        let mut seen = BTreeSet::new();
        let holders = self.files().filter_map(|file| holder(&file));
        let holders: Vec<String> = holders.filter(|holder| seen.insert(holder.clone())).collect();
        let slots = match self.count {
            1 => "the only one is".to_owned(),
            count => format!("all {count} are"),
        };
        match holders.is_empty() {
            true => format!("{slots} in use"),
            false => format!("{slots} in use, by {}", holders.join(", ")),
        }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        (0..self.count).map(|slot| self.folder.join(slot.to_string()))
    }
}

/// Returns the ID and the command line of this process.
fn this() -> String {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    format!("{} {}", std::process::id(), words.collect::<Vec<_>>().join(" "))
}

/// Describes the process that has written `file`, if it is running: one that was killed has left
/// its description.
fn holder(file: &Path) -> Option<String> {
    let holder = document::read_bytes(file, document::MAX_SIZE).ok()?;
    let holder = String::from_utf8_lossy(&holder);
    let (pid, command) = holder.split_once(' ')?;
    let pid: u32 = pid.parse().ok()?;
    let runs = Path::new(&format!("/proc/{pid}")).exists();
    runs.then(|| match pid == std::process::id() {
        true => "this process".to_owned(),
        false => format!("process {pid} ({})", text::fit(in_short(command), COMMAND_WIDTH)),
    })
}

/// Returns a command without the folder of its program.
fn in_short(command: &str) -> &str {
    let program = command.split(' ').next().unwrap_or(command);
    let folder = program.rfind('/').map_or(0, |slash| slash + 1);
    &command[folder..]
}
