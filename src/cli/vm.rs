//! `seatrial vm`: guests, and machines for hand work.

use std::io::{self, Write};

use clap::Subcommand;
use indicatif::{HumanBytes, ProgressBar};

use crate::trial::Daemon;
use crate::vm::accelerator::Wish;
use crate::vm::assemble::{Sources, is_prepared, prepare};
use crate::vm::{Definition, Options};

/// Assembles guests and boots machines with a real Docker daemon in them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial vm prepare docker-20.10
  seatrial vm up docker-20.10          prints what to export for docker")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the guests there are, and which are assembled
    List,
    /// Assembles a guest, where it is not yet
    Prepare {
        /// Which; see `seatrial vm list`
        guest: String,
        /// A line of a sources.list, or a mirror's address [default: the host's]
        #[arg(long, value_name = "LINE")]
        source: Vec<String>,
    },
    /// Boots a machine and keeps it until Ctrl-C
    Up {
        /// Which; see `seatrial vm list`
        guest: String,
        /// kvm, tcg, or auto: KVM where it really boots a guest
        #[arg(long, default_value = "auto")]
        accel: Wish,
        /// Let the guest reach the network
        #[arg(long)]
        egress: bool,
    },
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List => list(),
        Command::Prepare { guest, source } => assemble(&guest, &Sources { lines: source }),
        Command::Up { guest, accel, egress } => {
            assemble(&guest, &Sources::default())?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(up(&guest, Options { accelerator: accel, egress }))
        }
    }
}

fn list() -> anyhow::Result<()> {
    for name in Definition::names() {
        let definition = Definition::named(name)?;
        let size = is_prepared(name, &Sources::default())?;
        let state = size.map_or("not assembled".to_owned(), |size| HumanBytes(size).to_string());
        writeln!(io::stdout(), "{name:<16}{state:<16}{}", definition.description)?;
    }
    Ok(())
}

fn assemble(guest: &str, sources: &Sources) -> anyhow::Result<()> {
    let line = ProgressBar::new_spinner().with_message(format!("assembling {guest}, a minute or so"));
    line.enable_steady_tick(std::time::Duration::from_millis(120));
    let prepared = prepare(guest, sources, &mut |_| ());
    line.finish_and_clear();
    prepared?;
    Ok(())
}

async fn up(guest: &str, options: Options) -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stopped = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => (),
            _ = terminate.recv() => (),
        }
    };
    let kept = async {
        let daemon = Daemon::boot(guest, options).await?;
        let machine = daemon.machine();
        let ready = daemon.timeline().events().last().map_or(0.0, |(at, _)| at.as_secs_f64());
        writeln!(
            io::stdout(),
            "# {guest} is ready after {ready:.1} s; Ctrl-C ends it\nexport DOCKER_HOST=tcp://localhost:{}\n\
             export DOCKER_TLS_VERIFY=1\nexport DOCKER_CERT_PATH={}",
            machine.port(),
            machine.folder().display()
        )?;
        loop {
            machine.check_alive()?;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    };
    // Either way the machine is dropped here, and gone.
    tokio::select! {
        () = stopped => Ok(()),
        ended = kept => ended,
    }
}
