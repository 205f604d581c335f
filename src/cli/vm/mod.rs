//! `seatrial vm`: guests, and machines for hand work.

mod down;
mod exec;
mod keep;
mod list;
mod logs;
pub(super) mod prepare;
mod prune;
mod start;
mod up;

use clap::Subcommand;

/// Assembles guests and keeps machines with a real Docker daemon in them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial vm prepare docker-20.10          once; a minute or two
  eval \"$(seatrial vm up docker-20.10)\"     then: docker ps
  seatrial vm exec -- systemctl status docker
  seatrial vm down")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Prepare(prepare::Args),
    Up(up::Args),
    Exec(exec::Args),
    Logs(logs::Args),
    Down(down::Args),
    Prune(prune::Args),
    Keep(keep::Args),
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List(args) => list::run(&args),
        Command::Prepare(args) => prepare::run(&args),
        Command::Up(args) => up::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Down(args) => down::run(&args),
        Command::Prune(args) => prune::run(&args),
        Command::Keep(args) => keep::run(&args),
    }
}

/// Assembles `guest` and makes its template where they are not there yet, telling how far that is.
pub(super) fn ready(guest: &str, accel: crate::vm::AcceleratorChoice) -> anyhow::Result<()> {
    let guest = prepare::assemble(guest, &crate::vm::guest::assemble::Sources::default())?;
    prepare::make_template(&guest, accel)
}

/// Runs what waits for machines.
pub(super) fn block_on<T>(doing: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(doing);
    // A thread that still waits for a lock or a turn is not waited for.
    runtime.shutdown_background();
    done
}
