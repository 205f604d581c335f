//! `seatrial vm exec`

use std::io::{self, Write};
use std::time::Duration;

use crate::cli::exit::Ended;
use crate::vm::NamedVm;

/// Runs a command in a kept machine, as root, and ends as it does: with its exit code, or 128 and the signal's number
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which machine [default: the only one]
    name: Option<String>,
    /// How long the command may take, in seconds
    #[arg(long, default_value = "600", value_name = "SECONDS")]
    timeout: u64,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let output = super::block_on(async {
        let kept = NamedVm::find(args.name.as_deref())?;
        let (program, arguments) =
            args.command.split_first().map_or(("", [].as_slice()), |(p, a)| (p, a));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut agent = kept.agent(Duration::from_secs(10)).await?;
        Ok(agent.run(program, &arguments, Duration::from_secs(args.timeout)).await?)
    })?;
    io::stdout().write_all(output.stdout.as_bytes())?;
    io::stderr().write_all(output.stderr.as_bytes())?;
    match (output.code, output.signal) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Ended(u8::try_from(code).unwrap_or(255)).into()),
        (None, signal) => Err(Ended(128u8.wrapping_add(signal.unwrap_or(0) as u8)).into()),
    }
}
