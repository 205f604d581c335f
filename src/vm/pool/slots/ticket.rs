//! The order in which VMs get slots: each that waits has a number, and the lowest is next.

use std::fs;
use std::path::{Path, PathBuf};

use crate::vm::VmError;
use crate::vm::locks::Lock;

/// The file that is locked while a number is chosen.
const NUMBERS: &str = "numbers";
/// The beginning of the names of tickets' files; the number follows.
const PREFIX: &str = "ticket-";

/// A place in the queue, until it is dropped or the process exits. Its file is locked.
#[derive(Debug)]
pub(super) struct Ticket {
    folder: PathBuf,
    number: u64,
    #[allow(dead_code)] // until it is dropped
    lock: Lock,
}

impl Ticket {
    /// Takes the place at the end of the queue in `folder`.
    pub(super) fn take(folder: &Path) -> Result<Self, VmError> {
        // Held for a moment only.
        let _numbers = Lock::acquire(&folder.join(NUMBERS))?;
        let number = numbers(folder)?.into_iter().max().map_or(0, |last| last + 1);
        let lock = Lock::acquire(&file(folder, number))?;
        Ok(Self { folder: folder.to_owned(), number, lock })
    }

    /// Whether nobody has waited longer.
    pub(super) fn is_next(&self) -> Result<bool, VmError> {
        let earlier = numbers(&self.folder)?.into_iter().filter(|number| *number < self.number);
        for number in earlier {
            let path = file(&self.folder, number);
            if Lock::is_held(&path)? {
                return Ok(false);
            }
            // A process that was killed has left its file.
            let _ = fs::remove_file(path);
        }
        Ok(true)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = fs::remove_file(file(&self.folder, self.number));
    }
}

fn file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{number}"))
}

/// Returns the numbers of all tickets in `folder`.
fn numbers(folder: &Path) -> Result<Vec<u64>, VmError> {
    let files = fs::read_dir(folder).map_err(VmError::file("read", folder))?;
    let number = |file: fs::DirEntry| file.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok();
    Ok(files.flatten().filter_map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_are_next_in_the_order_in_which_they_were_taken() {
        let folder = tempfile::TempDir::new().unwrap();
        let [first, second, third] = [(); 3].map(|()| Ticket::take(folder.path()).unwrap());
        let next = |tickets: &[&Ticket]| -> Vec<bool> {
            tickets.iter().map(|ticket| ticket.is_next().unwrap()).collect()
        };
        assert_eq!(next(&[&first, &second, &third]), [true, false, false]);
        drop(second);
        assert_eq!(next(&[&first, &third]), [true, false]);
        drop(first);
        let fourth = Ticket::take(folder.path()).unwrap();
        assert_eq!(next(&[&third, &fourth]), [true, false]);
    }

    #[test]
    fn the_ticket_of_a_killed_process_does_not_count() {
        let folder = tempfile::TempDir::new().unwrap();
        let left = file(folder.path(), 7);
        fs::write(&left, "").unwrap();
        let ticket = Ticket::take(folder.path()).unwrap();
        assert!(ticket.is_next().unwrap() && !left.exists());
    }
}
