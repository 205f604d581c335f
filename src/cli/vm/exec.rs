//! `seatrial vm exec`: runs a command in a named VM.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::exit::ExitWith;
use crate::cli::runtime::block_on;
use crate::cli::streams::{raw_stderr, raw_stdout, stderr};
use crate::errors::chain;
use crate::text::{self, SafeWriter};
use crate::vm::instance::STDIN_MAX;
use crate::vm::{NamedVm, VmError};

const AGENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long standard input may stay open before a message says that it is being read.
const STDIN_NOTICE: Duration = Duration::from_secs(5);
/// The exit codes of shells and of `docker exec` for a program that is missing, and for one that
/// cannot be executed.
const NOT_FOUND: ExitWith = ExitWith(127);
const NOT_EXECUTABLE: ExitWith = ExitWith(126);

/// Runs a command in a named VM as root
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The command gets standard input, unless that is a terminal: it is read to its
end first. Exits with the command's exit code, or 128 plus the number of the
signal that ended it; with 127 if there is no such program.

Examples:
  seatrial vm exec -- docker ps
  seatrial vm exec docker-28 -- cat /etc/os-release
  seatrial vm exec -- sh -s < script.sh")]
pub(super) struct Args {
    /// Name of the VM [default: $SEATRIAL_VM, or the only VM]
    name: Option<String>,
    /// Time limit for the command
    #[arg(long, default_value = "600", value_name = "SECONDS")]
    timeout: u64,
    /// Program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let vm = NamedVm::find(args.name.as_deref())?;
    let input = read_stdin()?;
    let output = block_on(async {
        let words: Vec<&str> = args.command.iter().map(String::as_str).collect();
        let (program, arguments) = words.split_first().unwrap_or((&"", &[]));
        let mut agent = vm.agent(AGENT_TIMEOUT).await?;
        let limit = Duration::from_secs(args.timeout);
        match agent.run_with_input(program, arguments, &input, limit).await {
            Err(error @ VmError::GuestProgram { .. }) => Ok(Err(error)),
            output => Ok(Ok(output?)),
        }
    })?;
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            let missing = error.to_string().contains("No such file");
            writeln!(stderr(), "seatrial: {}", text::message(&chain(&error)))?;
            return Err(if missing { NOT_FOUND } else { NOT_EXECUTABLE }.into());
        }
    };
    print(raw_stdout(), &output.stdout)?;
    print(raw_stderr(), &output.stderr)?;
    match (output.code, output.signal) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(ExitWith(u8::try_from(code).unwrap_or(255)).into()),
        (None, signal) => Err(ExitWith(128u8.wrapping_add(signal.unwrap_or(0) as u8)).into()),
    }
}

/// Reads standard input to its end, unless it is a terminal or closed.
fn read_stdin() -> anyhow::Result<Vec<u8>> {
    if io::stdin().is_terminal() {
        return Ok(Vec::new());
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut input = Vec::new();
        let read = io::stdin().lock().take(STDIN_MAX as u64 + 1).read_to_end(&mut input);
        let _ = sender.send(read.map(|_| input));
    });
    let input = match receiver.recv_timeout(STDIN_NOTICE) {
        Err(RecvTimeoutError::Timeout) => {
            let notice = "seatrial: reading standard input to its end; for none, add </dev/null";
            writeln!(stderr(), "{notice}")?;
            receiver.recv()?
        }
        input => input?,
    };
    let input = input.context("failed to read standard input")?;
    if input.len() > STDIN_MAX {
        bail!("standard input is larger than {} MiB", STDIN_MAX >> 20);
    }
    Ok(input)
}

/// Prints the output of the command: exactly for a program, escaped for a terminal.
fn print(mut stream: impl Write + IsTerminal, output: &[u8]) -> io::Result<()> {
    match stream.is_terminal() {
        true => SafeWriter(stream).write_all(output),
        false => stream.write_all(output),
    }
}
