//! `seatrial doctor`

use std::io::{self, Write};

#[cfg(feature = "vm")]
use super::exit::Ended;
#[cfg(feature = "vm")]
use crate::vm::doctor;

/// Says what this machine has of what is needed, what it lacks, and how to get that
///
/// Building images needs nothing but this program. Machines need a few others; without KVM they are emulated.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

#[cfg(not(feature = "vm"))]
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::json!({ "build": true, "vm": false }))?;
        return Ok(());
    }
    writeln!(io::stdout(), "building images   fine; nothing else is needed")?;
    writeln!(io::stdout(), "machines          not in this build; install it with --features vm")?;
    Ok(())
}

#[cfg(feature = "vm")]
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let findings = runtime.block_on(doctor::check_host());
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&findings)?)?;
    } else {
        let mut out = io::stdout().lock();
        writeln!(out, "ok       building images     nothing else is needed")?;
        for finding in &findings {
            let doctor::Finding { state, what, found } = finding;
            writeln!(out, "{:<9}{what:<20}{found}", state.word())?;
        }
        if let Some(line) = doctor::install_command(&findings) {
            writeln!(out, "\nas root, run:\n  {line}")?;
        }
    }
    match findings.iter().any(|finding| finding.state == doctor::State::Missing) {
        true => Err(Ended(super::exit::ENVIRONMENT).into()),
        false => Ok(()),
    }
}
