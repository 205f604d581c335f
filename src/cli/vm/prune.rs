//! `seatrial vm prune`: removes what is cached of guests.

use std::io::Write;

use indicatif::HumanBytes;

use crate::cli::streams::stdout;
use crate::text;
use crate::vm::inventory;

/// Removes unused guests and snapshots, and files left by killed processes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  seatrial vm prune")]
pub(super) struct Args {
    /// Remove all guests and snapshots; they are made again when needed
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let removed = inventory::prune(args.all)?;
    let size = HumanBytes(removed.iter().map(|item| item.size).sum());
    for item in &removed {
        writeln!(stdout(), "removed {}", text::path(&item.folder))?;
    }
    writeln!(stdout(), "{size} freed")?;
    Ok(())
}
