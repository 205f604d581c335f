//! `seatrial vm exec`: runs a command in a named VM.

mod captured;
mod session;
mod terminal;

use std::io::{self, IsTerminal, Write};

use crate::cli::exit::ExitWith;
use crate::cli::streams::stderr;
use crate::errors::chain;
use crate::text::{self, SafeWriter};
use crate::vm::{NamedVm, VmError};

/// The exit codes of shells and of `docker exec` for a program that is missing, and for one that
/// cannot be executed.
const NOT_FOUND: ExitWith = ExitWith(127);
const NOT_EXECUTABLE: ExitWith = ExitWith(126);

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
pub(super) struct Args {
    /// Name of the VM [default: $SEATRIAL_VM, or the only VM]
    name: Option<String>,
    /// Pass standard input as it comes, of any size, and output as it comes
    #[arg(short, long)]
    interactive: bool,
    /// Run the command on a terminal; with -i, this terminal becomes that one
    #[arg(short, long)]
    tty: bool,
    /// Time limit for the command [default: 600; none with -i or -t]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let vm = NamedVm::find(args.name.as_deref())?;
    match args.interactive || args.tty {
        true => session::run(args, &vm),
        false => captured::run(args, &vm),
    }
}

/// Prints that the guest has no such program, or cannot execute it, and returns the exit code.
fn not_started(error: &VmError) -> io::Result<ExitWith> {
    let missing = error.to_string().contains("No such file");
    writeln!(stderr(), "seatrial: {}", text::message(&chain(error)))?;
    Ok(if missing { NOT_FOUND } else { NOT_EXECUTABLE })
}

/// Prints the output of the command: exactly for a program, escaped for a terminal.
fn print(mut stream: impl Write + IsTerminal, output: &[u8]) -> io::Result<()> {
    match stream.is_terminal() {
        true => SafeWriter(stream).write_all(output),
        false => stream.write_all(output),
    }
}
