//! `seatrial vm env`: the environment of a shell that uses a named VM.

use std::io::Write;

use crate::cli::command_line::shell_quoted;
use crate::cli::streams::raw_stdout;
use crate::vm::guest::Api;
use crate::vm::pool::VARIABLE;
use crate::vm::{Definition, NamedVm};

/// Prints shell commands that point docker and seatrial to a named VM
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eval \"$(seatrial vm env docker-28)\"
  docker compose up --detach        # in that VM
  seatrial vm exec -- docker ps     # the same VM")]
pub(super) struct Args {
    /// Name of the VM [default: $SEATRIAL_VM, or the only VM]
    name: Option<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    print(&NamedVm::find(args.name.as_deref())?)
}

/// Prints what a shell needs to reach the VM's engine.
pub(super) fn print(vm: &NamedVm) -> anyhow::Result<()> {
    // A shell evaluates the lines, so that they must be exact.
    let mut output = raw_stdout();
    writeln!(output, "export {VARIABLE}={}", shell_quoted(&vm.name))?;
    if Definition::named(&vm.guest)?.family.api == Api::Cri {
        let command = format!("seatrial vm exec {} -- ctr --namespace k8s.io images list", vm.name);
        writeln!(output, "# it has a CRI engine, without a Docker API; try: {command}")?;
        return Ok(());
    }
    writeln!(output, "export DOCKER_HOST=tcp://localhost:{}", vm.port)?;
    writeln!(output, "export DOCKER_TLS_VERIFY=1")?;
    let folder = vm.folder.display().to_string();
    writeln!(output, "export DOCKER_CERT_PATH={}", shell_quoted(&folder))?;
    Ok(())
}
