//! Commands whose standard input is complete before they start, and whose output is printed when
//! they have ended. The guest agent runs them.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, bail};

use super::args::Args;
use super::print;
use crate::cli::exit::ExitWith;
use crate::cli::runtime::block_on;
use crate::cli::streams::{raw_stderr, raw_stdout, stderr};
use crate::vm::instance::STDIN_MAX;
use crate::vm::{NamedVm, VmError};

const AGENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long standard input may stay open before a message says that it is being read.
const STDIN_NOTICE: Duration = Duration::from_secs(5);
/// The time limit for commands in seconds.
const LIMIT: u64 = 600;

pub(super) fn run(args: &Args, vm: &NamedVm) -> anyhow::Result<()> {
    let input = read_stdin()?;
    let output = block_on(async {
        let words: Vec<&str> = args.command.iter().map(String::as_str).collect();
        let (program, arguments) = words.split_first().unwrap_or((&"", &[]));
        let mut agent = vm.agent(AGENT_TIMEOUT).await?;
        let limit = Duration::from_secs(args.timeout.unwrap_or(LIMIT));
        match agent.run_with_input(program, arguments, &input, limit).await {
            Err(error @ VmError::GuestProgram { .. }) => Ok(Err(error)),
            Err(VmError::Command { problem, .. }) if problem.starts_with("still running") => {
                Err(VmError::StillRunning { command: args.command.join(" "), limit }.into())
            }
            output => Ok(Ok(output?)),
        }
    })?;
    let output = match output {
        Ok(output) => output,
        Err(error) => return Err(print::not_started(&error)?.into()),
    };
    print::output(raw_stdout(), &output.stdout)?;
    print::output(raw_stderr(), &output.stderr)?;
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
            let notice = "seatrial: reading standard input to its end; to pass it as it comes, add \
                          -i; for none, add </dev/null";
            writeln!(stderr(), "{notice}")?;
            receiver.recv()?
        }
        input => input?,
    };
    let input = input.context("failed to read standard input")?;
    if input.len() > STDIN_MAX {
        bail!(
            "standard input is larger than {} MiB; to pass it as it comes, add -i",
            STDIN_MAX >> 20
        );
    }
    Ok(input)
}
