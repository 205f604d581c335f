//! `seatrial vm down`

use crate::vm::NamedVm;

/// Ends kept machines; nothing of them is left
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which machines [default: the only one]
    names: Vec<String>,
    /// Every one there is
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let machines = if args.all {
        NamedVm::list()?
    } else if args.names.is_empty() {
        vec![NamedVm::find(None)?]
    } else {
        args.names.iter().map(|name| NamedVm::find(Some(name))).collect::<Result<_, _>>()?
    };
    super::block_on(async {
        for kept in machines {
            kept.stop().await?;
        }
        Ok(())
    })
}
