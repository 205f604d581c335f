//! `seatrial vm up`: starts a named VM.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

use super::environment;
use super::vm_args::VmArgs;
use crate::cli::exit::ExitWith;
use crate::cli::guests::prepare_guest;
use crate::cli::streams::{raw_stdout, stderr, stdout};
use crate::linux::inherited;
use crate::vm::NamedVm;
use crate::vm::pool::PrepareOptions;

/// Starts a named VM and prints shell commands that point docker to it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A background process owns the VM until `seatrial vm down`.

If the VM does not start, eval does nothing and succeeds, and docker uses the
host's engine. Scripts stop with `vm=$(seatrial vm up docker-20.10) || exit` and
`eval \"$vm\"` on the next line.

Examples:
  eval \"$(seatrial vm up docker-20.10)\"
  seatrial vm up podman-5.4 --name test --egress
  seatrial vm up docker-28 --memory 4096 --disk 40 --publish 8080:80")]
pub(super) struct Args {
    /// Guest to start; `seatrial vm list` lists all
    guest: String,
    /// Name of the VM [default: the guest's name]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    vm: VmArgs,
    /// Also print the order of events, to standard error
    #[arg(long)]
    timeline: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.guest)
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    args.name.as_deref().map_or(Ok(()), NamedVm::check_name)?;
    args.vm.resources.check_is_not_egress(Path::new(&args.guest))?;
    args.vm.check_published()?;
    NamedVm::check_is_free(args.name())?;
    let snapshot = args.vm.options().restores();
    let accelerator = args.vm.accel;
    let options = PrepareOptions { accelerator, snapshot, ..PrepareOptions::default() };
    prepare_guest(&args.guest, &options)?;
    let description = start_background_process(args)?;
    if args.json {
        write!(stdout(), "{description}")?;
        return Ok(());
    }
    let vm: NamedVm = serde_json::from_str(&description)
        .context("failed to understand the background process")?;
    if args.timeline {
        vm.timeline.iter().try_for_each(|event| writeln!(stderr(), "{event}"))?;
    }
    let (name, seconds) = (&vm.name, vm.ready_after().as_secs_f64());
    writeln!(
        raw_stdout(),
        "# {name} is ready after {seconds:.2} s; to kill it: seatrial vm down {name}"
    )?;
    environment::print(&vm)
}

/// Starts the process that owns the VM, and returns the line that it prints when the VM is ready.
fn start_background_process(args: &Args) -> anyhow::Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["vm", "background", &args.guest, args.name()]).args(args.vm.to_words());
    // A lock or a pipe that this process was given is not the VM's.
    inherited::close_files(&mut command);
    // If this process ends before the VM is ready, the pipe closes and the background process ends.
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(output) = process.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    if !line.is_empty() {
        return Ok(line);
    }
    // The background process has printed the error.
    let code = process.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Err(code.map_or(ExitWith::ENVIRONMENT, ExitWith).into())
}
