//! Prepares a guest: assembles it from Debian packages and makes its snapshot, if they are missing.
//!
//! [`prepare`] is the one function for this. The command line, checks and replays call it before
//! they start VMs, and show its [`Progress`], which has a `Display`:
//!
//! ```ignore
//! let guest = prepare(name, &PrepareOptions::default(), &mut |progress| {
//!     report(Event::Doing(progress.to_string()));
//! }).await?;
//! ```

use std::fmt;

use tokio::sync::mpsc;

use crate::vm::VmError;
use crate::vm::guest::Guest;
use crate::vm::guest::assemble::{self, Sources};
use crate::vm::instance::Snapshot;
use crate::vm::instance::accelerator::{self, AcceleratorChoice};
use crate::vm::pool::start;

/// Settings of [`prepare`].
#[derive(Clone, Debug)]
pub struct PrepareOptions {
    /// The Debian mirrors for a guest that is assembled.
    pub sources: Sources,
    /// How the CPUs of the VM that is saved as the snapshot run.
    pub accelerator: AcceleratorChoice,
    /// Whether to make the snapshot, too.
    pub snapshot: bool,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        let (sources, accelerator) = (Sources::default(), AcceleratorChoice::default());
        Self { sources, accelerator, snapshot: true }
    }
}

/// A step of [`prepare`] that begins and takes a while. Steps that are not needed are not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The guest is assembled.
    Assembling {
        /// The guest.
        guest: &'a str,
        /// Whether its packages are installed under emulation, which takes longer.
        emulated: bool,
        /// The current step of mmdebstrap.
        step: Option<&'a str>,
    },
    /// A VM boots, and is saved as the snapshot.
    MakingSnapshot {
        /// The guest.
        guest: &'a str,
    },
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assembling { guest, emulated, step } => {
                let estimate = if *emulated { "three minutes" } else { "a minute" };
                write!(f, "assembling {guest} (about {estimate})")?;
                step.map_or(Ok(()), |step| write!(f, ": {step}"))
            }
            Self::MakingSnapshot { guest } => {
                write!(f, "booting {guest} once to make its snapshot (about half a minute)")
            }
        }
    }
}

/// Assembles the guest called `name` and makes its snapshot, if they are missing. Processes that
/// prepare the same guest wait for each other.
///
/// # Errors
/// If there is no such guest, it cannot be assembled, or its VM does not become ready or cannot be
/// saved.
pub async fn prepare(
    name: &str,
    options: &PrepareOptions,
    report: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Guest, VmError> {
    let guest = assemble(name, &options.sources, report).await?;
    if options.snapshot {
        let accelerator = accelerator::choose(options.accelerator, &guest).await?;
        if Snapshot::find(&guest, accelerator)?.is_none() {
            report(Progress::MakingSnapshot { guest: &guest.name });
            start::make_snapshot(&guest, accelerator).await?;
        }
    }
    Ok(guest)
}

async fn assemble(
    name: &str,
    sources: &Sources,
    report: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Guest, VmError> {
    let guest = assemble::locate(name, sources)?;
    if guest.folder().is_dir() {
        return Ok(guest);
    }
    let emulated = !guest.definition.machine_type.is_host();
    let mut report =
        |step: Option<&str>| report(Progress::Assembling { guest: name, emulated, step });
    report(None);
    let (sender, mut steps) = mpsc::unbounded_channel::<String>();
    let (guest_name, sources) = (name.to_owned(), sources.clone());
    let assembled = crate::vm::run_blocking(move || {
        assemble::assemble(&guest_name, &sources, &mut |line| {
            // mmdebstrap: "I: installing remaining packages inside the chroot..."
            if let Some(step) = line.strip_prefix("I: ") {
                let _ = sender.send(step.trim_end_matches('.').to_owned());
            }
        })
    });
    let forwarded = async {
        while let Some(step) = steps.recv().await {
            report(Some(&step));
        }
    };
    tokio::join!(assembled, forwarded).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_names_the_guest_the_expected_time_and_the_current_step() {
        let (guest, step) = ("docker-28", Some("installing packages"));
        let assembling = Progress::Assembling { guest, emulated: false, step };
        let expected = "assembling docker-28 (about a minute): installing packages";
        assert_eq!(assembling.to_string(), expected);
        let emulated = Progress::Assembling { guest, emulated: true, step: None };
        assert_eq!(emulated.to_string(), "assembling docker-28 (about three minutes)");
    }
}
