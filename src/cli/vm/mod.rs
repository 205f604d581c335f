//! `seatrial vm`: guests and named VMs.

mod background;
mod down;
mod environment;
mod exec;
mod list;
mod logs;
mod prepare;
mod prune;
mod up;
mod vm_args;

use clap::Subcommand;

/// Assembles guests and starts named VMs with a real engine
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial vm prepare docker-20.10          # once; takes a minute or two
  eval \"$(seatrial vm up docker-20.10)\"     # then: docker ps
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
    Env(environment::Args),
    Exec(exec::Args),
    Logs(logs::Args),
    Down(down::Args),
    Prune(prune::Args),
    Background(background::Args),
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Prepare(args) => prepare::run(args),
        Command::Up(args) => up::run(args),
        Command::Env(args) => environment::run(args),
        Command::Exec(args) => exec::run(args),
        Command::Logs(args) => logs::run(args),
        Command::Down(args) => down::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Background(args) => background::run(args),
    }
}
