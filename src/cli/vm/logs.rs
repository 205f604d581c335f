//! `seatrial vm logs`: prints the logs of a named VM.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::runtime::block_on;
use crate::cli::streams::stdout;
use crate::text;
use crate::vm::NamedVm;

const AGENT_TIMEOUT: Duration = Duration::from_secs(10);
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Prints the journal or the console of a named VM
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial vm logs
  seatrial vm logs docker-28 --unit docker.service
  seatrial vm logs --console | tail")]
pub(super) struct Args {
    /// Name of the VM [default: $SEATRIAL_VM, or the only VM]
    name: Option<String>,
    /// Print only messages of this systemd unit, such as docker.service
    #[arg(long, conflicts_with = "console")]
    unit: Option<String>,
    /// Print the serial console; works even if the guest does not respond
    #[arg(long)]
    console: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let vm = NamedVm::find(args.name.as_deref())?;
    if args.console {
        let path = vm.console_file();
        let console = File::open(&path);
        let mut console =
            console.with_context(|| format!("failed to read {}", text::path(&path)))?;
        // The guest decides how long the console is.
        std::io::copy(&mut console, &mut stdout())?;
        return Ok(());
    }
    let mut journal = vec!["--no-pager", "--output=short-monotonic"];
    if let Some(unit) = &args.unit {
        journal.extend(["--unit", unit]);
    }
    let output = block_on(async {
        let mut agent = vm.agent(AGENT_TIMEOUT).await?;
        Ok(agent.run("/usr/bin/journalctl", &journal, JOURNAL_TIMEOUT).await?)
    })?;
    if !output.success() {
        bail!("failed to read the journal of {}: {}", vm.name, output.stderr.trim_end());
    }
    Ok(stdout().write_all(output.stdout.as_bytes())?)
}
