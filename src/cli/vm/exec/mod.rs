//! `seatrial vm exec`: runs a command in a named VM.

mod args;
mod captured;
mod print;
mod session;
mod signals;
mod terminal;

pub(super) use args::Args;

use crate::vm::NamedVm;

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let vm = NamedVm::find(args.name.as_deref())?;
    match args.interactive || args.tty {
        true => session::run(args, &vm),
        false => captured::run(args, &vm),
    }
}
