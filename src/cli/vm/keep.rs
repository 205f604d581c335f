//! `seatrial vm keep`: the process that owns a machine that `vm up` started. Not for use by hand.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::start::Start;
use crate::vm::NamedVm;
use crate::vm::VmError;
use crate::vm::guest::assemble::{Sources, assemble};
use crate::vm::pool::start;

#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {
    guest: String,
    name: String,
    #[command(flatten)]
    start: Start,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    // What the terminal sends to the command that is run there is none of ours.
    let _ = rustix::process::setsid();
    super::block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            kept = keep(args) => kept,
        }
    })
}

async fn keep(args: &Args) -> anyhow::Result<()> {
    let guest = assemble(&args.guest, &Sources::default(), &mut |_| ())?;
    let options = args.start.options();
    let ready = tokio::select! {
        ready = start::start(&guest, &options) => ready?,
        () = nobody_waits() => return Ok(()),
    };
    if let Some(why) = &ready.fallback {
        writeln!(io::stderr(), "seatrial: booted, because the template could not be used: {why}")?;
    }
    let kept = NamedVm::register(&args.name, &args.guest, &ready)?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&kept)?)?;
    // Whoever reads what the one that asked prints would wait for this process too.
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    let died: VmError = ready.vm.wait_for_exit().await;
    Err(died.into())
}

/// Waits until the one that asked for the machine is gone.
async fn nobody_waits() {
    // Its end of the pipe is all that standard input is for; a thread of tokio's would outlive this wait.
    use std::os::fd::AsFd;
    let gone = || {
        let stdin = io::stdin();
        let mut poll =
            [rustix::event::PollFd::from_borrowed_fd(stdin.as_fd(), rustix::event::PollFlags::IN)];
        let polled = rustix::event::poll(
            &mut poll,
            Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }),
        );
        polled.is_ok_and(|count| count > 0)
    };
    while !gone() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
