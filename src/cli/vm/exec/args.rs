//! The arguments of `vm exec`.

use crate::cli::args::seconds;

/// Runs a command in a named VM as root
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without -i, the command gets standard input, unless that is a terminal: it is
read to its end first. Exits with the command's exit code, or 128 plus the
number of the signal that ended it; with 127 if there is no such program.

Examples:
  seatrial vm exec -- docker ps
  seatrial vm exec -it docker-28 -- bash
  seatrial vm exec -i -- docker load < image.tar
  seatrial vm exec -t -- ls --color=auto /      # as on a terminal")]
pub(in crate::cli::vm) struct Args {
    /// Name of the VM [default: $SEATRIAL_VM, or the only VM]
    pub(super) name: Option<String>,
    /// Pass standard input as it comes, of any size, and output as it comes
    #[arg(short, long)]
    pub(super) interactive: bool,
    /// Run the command on a terminal; with -i, this terminal becomes that one
    #[arg(short, long)]
    pub(super) tty: bool,
    /// Time limit for the command [default: 600; none with -i or -t]
    #[arg(long, value_name = "SECONDS", value_parser = seconds(0))]
    pub(super) timeout: Option<u64>,
    /// Program and its arguments
    #[arg(last = true, required = true)]
    pub(super) command: Vec<String>,
}
