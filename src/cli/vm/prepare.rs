//! `seatrial vm prepare`: assembles guests and makes their snapshots.

use crate::cli::args::selected_engines;
use crate::cli::guests::prepare_guest;
use crate::vm::AcceleratorChoice;
use crate::vm::guest::assemble::Sources;
use crate::vm::pool::PrepareOptions;

/// Assembles guests and makes their snapshots, unless they exist
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial vm prepare docker-20.10
  seatrial vm prepare docker-28 podman containerd-2.1
  seatrial vm prepare podman-5.4 --source https://mirror.example/debian")]
pub(super) struct Args {
    /// Guests to prepare, by name or kind (docker, podman, containerd, all); `seatrial vm list`
    /// lists all
    #[arg(required = true, value_name = "GUEST")]
    guests: Vec<String>,
    /// Line for sources.list, or address of a Debian mirror; may be repeated
    /// [default: the host's mirrors]
    #[arg(long, value_name = "LINE")]
    source: Vec<String>,
    /// kvm, tcg (emulation), or auto: KVM if it boots a guest on this host
    #[arg(long, default_value = "auto")]
    accel: AcceleratorChoice,
    /// Only assemble the guests
    #[arg(long)]
    no_snapshot: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let options = PrepareOptions {
        sources: Sources { lines: args.source.clone() },
        accelerator: args.accel,
        snapshot: !args.no_snapshot,
    };
    // All names are checked before the first guest is assembled.
    let guests = selected_engines(&args.guests)?;
    guests.iter().try_for_each(|guest| prepare_guest(guest, &options).map(drop))
}
