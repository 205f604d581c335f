//! Guests that a command needs, with a status line while they are prepared.

use super::progress::StatusLine;
use super::runtime::{block_on, interruptible};
use crate::vm::Guest;
use crate::vm::pool::{PrepareOptions, Progress, prepare};

/// Assembles the guest called `name` and makes its snapshot, if they are missing.
pub(super) fn prepare_guest(name: &str, options: &PrepareOptions) -> anyhow::Result<Guest> {
    let line = StatusLine::new();
    let mut report = |progress: Progress<'_>| line.set(progress.to_string());
    block_on(interruptible(prepare(name, options, &mut report)))
}
