//! `seatrial vm background`: the background process that owns a named VM. `vm up` starts it; it is
//! not for users.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{SignalKind, signal};

use super::vm_args::VmArgs;
use crate::cli::runtime::{Hangup, block_on};
use crate::cli::streams::{json, stderr, stdout};
use crate::vm::guest::assemble::{Sources, assemble};
use crate::vm::pool::{OwnVms, start};
use crate::vm::{NamedVm, VmError};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {
    guest: String,
    name: String,
    #[command(flatten)]
    vm: VmArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    // Signals of the terminal, such as Ctrl-C, are for the command that runs there.
    let _ = rustix::process::setsid();
    block_on(async {
        // Caught before the VM starts, which is removed after them.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = Hangup::catch()?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            () = hangup.recv() => Ok(()),
            result = own_vm(args) => result,
        }
    })
}

/// Starts the VM, describes it as JSON on standard output, and waits until it exits.
async fn own_vm(args: &Args) -> anyhow::Result<()> {
    let guest = assemble(&args.guest, &Sources::default(), &mut |_| ())?;
    let options = args.vm.options();
    let ready = tokio::select! {
        ready = start::start(&guest, &options, OwnVms::End) => ready?,
        () = standard_input_closes() => return Ok(()),
    };
    if let Some(reason) = &ready.fallback {
        writeln!(stderr(), "seatrial: booted instead of restoring the snapshot: {reason}")?;
    }
    let vm = NamedVm::register(&args.name, &args.guest, &ready)?;
    writeln!(stdout(), "{}", json(&vm)?)?;
    // A program that reads the output of `vm up` reads until these are closed, too.
    let null = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    let error: VmError = ready.vm.wait_for_exit().await;
    Err(error.into())
}

/// Waits until the other end of standard input, which `vm up` holds, is closed. Polls, because the
/// runtime would wait for a thread that reads.
async fn standard_input_closes() {
    let is_open = || {
        let stdin = io::stdin();
        let mut poll_fds = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
        let events = poll(&mut poll_fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        !events.is_ok_and(|count| count > 0)
    };
    while is_open() {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
