//! `seatrial doctor`: checks the host.

use std::io::{self, Write};

#[cfg(feature = "vm")]
use super::exit::ExitWith;
#[cfg(feature = "vm")]
use super::runtime::block_on;
#[cfg(feature = "vm")]
use super::streams::json;
use super::streams::stdout;
use crate::steps::Namespace;
use crate::text::errors::chain;
#[cfg(feature = "vm")]
use crate::vm::doctor;

/// Checks this host for required programs and permissions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Building images needs no other programs. Steps of recipes and VMs do; without
KVM, the CPUs of VMs are emulated.

Example:
  seatrial doctor")]
pub(super) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[cfg(not(feature = "vm"))]
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.json {
        writeln!(stdout(), "{}", serde_json::json!({ "build": true, "vm": false }))?;
        return Ok(());
    }
    print(&mut stdout(), "ok", "building images", "no other programs needed")?;
    print_steps(&mut stdout())?;
    print(&mut stdout(), "note", "VMs", "this program was compiled without feature vm")?;
    Ok(())
}

#[cfg(feature = "vm")]
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let findings = block_on(async { Ok(doctor::check_host().await) })?;
    if args.json {
        writeln!(stdout(), "{}", json(&findings)?)?;
    } else {
        let mut output = stdout();
        print(&mut output, "ok", "building images", "no other programs needed")?;
        print_steps(&mut output)?;
        for doctor::Finding { state, what, found } in &findings {
            print(&mut output, state.word(), what, found)?;
        }
        if let Some(command) = doctor::install_command(&findings) {
            writeln!(output, "\nas root, run:\n  {command}")?;
        }
    }
    match findings.iter().any(|finding| finding.state == doctor::State::Missing) {
        true => Err(ExitWith::ENVIRONMENT.into()),
        false => Ok(()),
    }
}

/// Prints whether this host can run the steps of recipes, which few recipes have.
fn print_steps(output: &mut dyn Write) -> io::Result<()> {
    match Namespace::check_host() {
        Ok(()) => print(output, "ok", "steps of recipes", "in namespaces"),
        Err(error) => print(output, "note", "steps of recipes", &chain(&error)),
    }
}

fn print(output: &mut dyn Write, state: &str, what: &str, found: &str) -> io::Result<()> {
    writeln!(output, "{state:<9}{what:<20}{found}")
}
