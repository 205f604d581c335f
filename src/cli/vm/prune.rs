//! `seatrial vm prune`

use std::io::{self, Write};

use indicatif::HumanBytes;

use crate::vm::inventory;

/// Removes guests and templates that are of no more use, and what killed processes have left
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Remove every guest and template, though they would have to be made again
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let removed = inventory::prune(args.all)?;
    let size = HumanBytes(removed.iter().map(|item| item.size).sum());
    for item in &removed {
        writeln!(io::stdout(), "removed {}", item.folder.display())?;
    }
    writeln!(io::stdout(), "{size} freed")?;
    Ok(())
}
