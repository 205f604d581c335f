//! `seatrial completions`: lets a shell complete commands, flags and their values.

use std::io::Write;

use clap_complete::Shell;

use super::streams::stdout;

/// Prints a script with which a shell completes commands and flags
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(seatrial completions bash)            # in ~/.bashrc
  seatrial completions zsh > ~/.zfunc/_seatrial  # if ~/.zfunc is in fpath
  seatrial completions fish > ~/.config/fish/completions/seatrial.fish")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script for `command`, which describes the whole command line.
pub(super) fn run(args: &Args, mut command: clap::Command) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    stdout().write_all(&script)?;
    Ok(())
}
