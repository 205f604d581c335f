//! `seatrial vm down`: kills named VMs.

use std::io::Write;

use crate::cli::daemon::UNSET;
use crate::cli::runtime::block_on;
use crate::cli::streams::messages;
use crate::vm::NamedVm;
use crate::vm::pool::VARIABLE;

/// Kills named VMs and removes their files
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial vm down
  seatrial vm down docker-28 podman-5.4")]
pub(super) struct Args {
    /// Names of VMs [default: $SEATRIAL_VM, or the only VM]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Kill all named VMs
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let vms = if args.all {
        NamedVm::list()?
    } else if args.names.is_empty() {
        vec![NamedVm::find(None)?]
    } else {
        args.names.iter().map(|name| NamedVm::find(Some(name))).collect::<Result<_, _>>()?
    };
    block_on(async {
        for vm in vms {
            vm.stop().await?;
        }
        anyhow::Ok(())
    })?;
    if let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty())
        && !NamedVm::list()?.iter().any(|vm| *vm.name == *name)
    {
        writeln!(messages(), "to use the host's engine again: {UNSET}")?;
    }
    Ok(())
}
