//! `seatrial step-owners`: runs the sandbox of a step and records the owners of files. `build`
//! starts it if the user has no range of IDs; it is not for users.

use std::os::unix::process::ExitStatusExt;

use anyhow::Context;

use super::exit::ExitWith;
use crate::steps::owners::supervise;

#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {
    /// The path of the image in the sandbox
    prefix: String,

    /// The program of the sandbox and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let (program, arguments) = args.command.split_first().context("no program")?;
    let status = supervise(&args.prefix, program, arguments)?;
    let signal = status.signal().map(|signal| 128 + signal);
    match status.code().or(signal).and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(()),
        code => Err(ExitWith(code.unwrap_or(1)).into()),
    }
}
