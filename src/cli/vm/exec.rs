//! `seatrial vm exec`: runs a command in a named VM.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::cli::exit::ExitWith;
use crate::cli::runtime::block_on;
use crate::cli::streams::{raw_stderr, raw_stdout};
use crate::text::SafeWriter;
use crate::vm::NamedVm;

const AGENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a command in a named VM as root
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exits with the command's exit code, or 128 plus the number of the signal that
ended it.

Examples:
  seatrial vm exec -- docker ps
  seatrial vm exec docker-28 -- cat /etc/os-release")]
pub(super) struct Args {
    /// Name of the VM [default: the only VM]
    name: Option<String>,
    /// Time limit for the command
    #[arg(long, default_value = "600", value_name = "SECONDS")]
    timeout: u64,
    /// Program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let output = block_on(async {
        let vm = NamedVm::find(args.name.as_deref())?;
        let words: Vec<&str> = args.command.iter().map(String::as_str).collect();
        let (program, arguments) = words.split_first().unwrap_or((&"", &[]));
        let mut agent = vm.agent(AGENT_TIMEOUT).await?;
        Ok(agent.run(program, arguments, Duration::from_secs(args.timeout)).await?)
    })?;
    print(raw_stdout(), &output.stdout)?;
    print(raw_stderr(), &output.stderr)?;
    match (output.code, output.signal) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(ExitWith(u8::try_from(code).unwrap_or(255)).into()),
        (None, signal) => Err(ExitWith(128u8.wrapping_add(signal.unwrap_or(0) as u8)).into()),
    }
}

/// Prints the output of the command: exactly for a program, escaped for a terminal.
fn print(mut stream: impl Write + IsTerminal, output: &str) -> io::Result<()> {
    match stream.is_terminal() {
        true => SafeWriter(stream).write_all(output.as_bytes()),
        false => stream.write_all(output.as_bytes()),
    }
}
