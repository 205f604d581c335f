//! `seatrial vm prepare`

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::vm::AcceleratorChoice;
use crate::vm::guest::assemble::{self, Sources};
use crate::vm::pool::start;
use crate::vm::{Definition, Guest};

/// Assembles a guest and makes its template, where they are not there yet
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which; see `seatrial vm list`
    guest: String,
    /// A line of a sources.list, or a mirror's address [default: the host's]
    #[arg(long, value_name = "LINE")]
    source: Vec<String>,
    /// kvm, tcg, or auto: KVM where it really boots a guest
    #[arg(long, default_value = "auto")]
    accel: AcceleratorChoice,
    /// Only assemble it
    #[arg(long)]
    no_template: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let guest = assemble(&args.guest, &Sources { lines: args.source.clone() })?;
    if !args.no_template {
        make_template(&guest, args.accel)?;
    }
    Ok(())
}

/// Assembles `guest`, telling how far that is.
pub(in crate::cli) fn assemble(guest: &str, sources: &Sources) -> anyhow::Result<Guest> {
    let foreign =
        Definition::named(guest).is_ok_and(|definition| !definition.machine_type.is_host());
    let begun =
        format!("assembling {guest}, about {}", if foreign { "three minutes" } else { "a minute" });
    let line = line(&begun);
    let prepared = assemble::assemble(guest, sources, &mut |said| {
        // mmdebstrap: "I: installing remaining packages inside the chroot..."
        if let Some(step) = said.strip_prefix("I: ") {
            line.set_message(format!("{begun}: {}", step.trim_end_matches('.')));
        }
    });
    line.finish_and_clear();
    Ok(prepared?)
}

/// Makes the template of `guest`.
pub(in crate::cli) fn make_template(guest: &Guest, accel: AcceleratorChoice) -> anyhow::Result<()> {
    let line = line(&format!("booting {} once to make its template, half a minute", guest.name));
    let made = super::block_on(async { Ok(start::make_snapshot(guest, accel).await?) });
    line.finish_and_clear();
    made.map(drop)
}

/// A line on the terminal that tells what goes on; none where there is no terminal.
pub(in crate::cli) fn line(message: &str) -> ProgressBar {
    let line = ProgressBar::new_spinner().with_message(message.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>3} {wide_msg}") {
        line.set_style(style);
    }
    line.enable_steady_tick(Duration::from_millis(120));
    line
}
