//! `seatrial vm prepare`: assembles a guest and makes its snapshot.

use crate::cli::guests::prepare_guest;
use crate::vm::AcceleratorChoice;
use crate::vm::guest::assemble::Sources;
use crate::vm::pool::PrepareOptions;

/// Assembles a guest and makes its snapshot, unless they exist
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial vm prepare docker-20.10
  seatrial vm prepare podman-5.4 --source https://mirror.example/debian")]
pub(super) struct Args {
    /// Guest to prepare; `seatrial vm list` lists all
    guest: String,
    /// Line for sources.list, or address of a Debian mirror; may be repeated
    /// [default: the host's mirrors]
    #[arg(long, value_name = "LINE")]
    source: Vec<String>,
    /// kvm, tcg (emulation), or auto: KVM if it boots a guest on this host
    #[arg(long, default_value = "auto")]
    accel: AcceleratorChoice,
    /// Only assemble the guest
    #[arg(long)]
    no_snapshot: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let options = PrepareOptions {
        sources: Sources { lines: args.source.clone() },
        accelerator: args.accel,
        snapshot: !args.no_snapshot,
    };
    prepare_guest(&args.guest, &options).map(drop)
}
