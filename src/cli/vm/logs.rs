//! `seatrial vm logs`

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::vm::NamedVm;

/// Prints what a kept machine's guest has logged
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which machine [default: the only one]
    name: Option<String>,
    /// What this unit has logged alone, such as docker.service
    #[arg(long, conflicts_with = "console")]
    unit: Option<String>,
    /// What was printed on the console, which works though the guest may not
    #[arg(long)]
    console: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let kept = NamedVm::find(args.name.as_deref())?;
    if args.console {
        let path = kept.console_file();
        let console =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(io::stdout().write_all(&console)?);
    }
    let mut journal = vec!["--no-pager", "--output=short-monotonic"];
    if let Some(unit) = &args.unit {
        journal.extend(["--unit", unit]);
    }
    let limit = Duration::from_secs(60);
    let output = super::block_on(async {
        Ok(kept
            .agent(Duration::from_secs(10))
            .await?
            .run("/usr/bin/journalctl", &journal, limit)
            .await?)
    })?;
    if !output.success() {
        bail!("journalctl in the guest: {}", output.stderr);
    }
    Ok(io::stdout().write_all(output.stdout.as_bytes())?)
}
