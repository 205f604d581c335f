//! The command line, one file a command. A command parses its arguments, calls the library and
//! prints the result; how an image is built or tested does not belong here.
//!
//! Results go to standard output, everything else to standard error.

mod args;
mod bases;
mod build;
#[cfg(feature = "vm")]
mod check;
#[cfg(feature = "vm")]
mod check_inputs;
#[cfg(feature = "vm")]
mod command_line;
mod completions;
mod conf;
#[cfg(feature = "registry")]
mod copy;
#[cfg(feature = "vm")]
mod daemon;
mod daemon_images;
mod diff;
mod doctor;
mod exit;
#[cfg(feature = "vm")]
mod expect;
mod explain;
mod export;
#[cfg(feature = "vm")]
mod guests;
mod images;
mod inspect;
mod layers;
#[cfg(feature = "vm")]
mod load;
#[cfg(feature = "registry")]
mod lock;
#[cfg(feature = "registry")]
mod login;
#[cfg(feature = "registry")]
mod logout;
mod merge;
mod missing_feature;
mod output;
mod overwrite;
mod progress;
#[cfg(feature = "registry")]
mod prompt;
#[cfg(feature = "registry")]
mod pull;
#[cfg(feature = "registry")]
mod push;
mod reference;
mod renamed;
#[cfg(feature = "vm")]
mod replay;
#[cfg(feature = "vm")]
mod runtime;
mod sbom;
mod step_owners;
mod steps;
mod stream;
mod streams;
mod summary;
mod variables;
#[cfg(feature = "vm")]
mod vm;
#[cfg(feature = "vm")]
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::exit::UsageError;
use crate::text;

const ABOUT: &str = if cfg!(feature = "vm") {
    "Builds container images without a daemon or root, and tests them on real engines in VMs"
} else {
    "Builds container images without a daemon or root"
};

#[derive(Debug, Parser)]
#[command(name = "seatrial", about = ABOUT, version)]
#[command(max_term_width = 80, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  seatrial build app.toml                  # writes NAME.tar
  seatrial stream app.toml | docker load   # without a file in between
  seatrial inspect app.tar                 # describes and lints an image

A minimal recipe:
  name = \"my/app\"
  contents = [\"./rootfs\"]
  [config]
  Cmd = [\"/bin/app\"]

Exit codes:
  0  success
  1  something is not as expected
  2  bad input or usage; nothing was written
  3  the environment failed")]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print results and errors only: no progress, summaries, notes or warnings;
    /// findings of inspect are results
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Args),
    Stream(stream::Args),
    Reference(reference::Args),
    Explain(explain::Args),
    Conf(conf::Args),
    Inspect(inspect::Args),
    Layers(layers::Args),
    Diff(diff::Args),
    Export(export::Args),
    Merge(merge::Args),
    #[cfg(feature = "registry")]
    Lock(lock::Args),
    #[cfg(feature = "registry")]
    Pull(pull::Args),
    #[cfg(feature = "registry")]
    Push(push::Args),
    #[cfg(feature = "registry")]
    Copy(copy::Args),
    #[cfg(feature = "registry")]
    Login(login::Args),
    #[cfg(feature = "registry")]
    Logout(logout::Args),
    #[cfg(feature = "vm")]
    Load(load::Args),
    #[cfg(feature = "vm")]
    Check(check::Args),
    #[cfg(feature = "vm")]
    Expect(expect::Args),
    #[cfg(feature = "vm")]
    Replay(replay::Args),
    #[cfg(feature = "vm")]
    Vm(vm::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    #[command(name = crate::steps::owners::SUBCOMMAND)]
    StepOwners(step_owners::Args),
}

/// Runs the program with the arguments of the process and returns its exit code.
pub fn main() -> ExitCode {
    exit::code(parse().map_err(Into::into).and_then(|Cli { command, quiet }| {
        streams::set_quiet(quiet);
        #[cfg(feature = "vm")]
        crate::vm::pool::report_waiting(progress::print_note);
        check_variables(&command)?;
        run(command)
    }))
}

/// Parses the arguments; prints help and the parser's own errors, and exits, by itself.
fn parse() -> Result<Cli, UsageError> {
    Cli::try_parse().or_else(|error| {
        // An error quotes arguments, which may be names of files that others chose. So it is made
        // again from escaped arguments.
        let escaped: Vec<String> =
            std::env::args_os().map(|argument| text::path(argument.as_ref())).collect();
        #[cfg(feature = "vm")]
        args::check_egress(&error, &escaped)?;
        match Cli::try_parse_from(&escaped) {
            Err(error) => {
                missing_feature::check(&error)?;
                renamed::explain(error, &escaped).exit()
            }
            Ok(_) => exit::with_usage(&error),
        }
    })
}

/// Checks the environment variables that `command` reads.
fn check_variables(command: &Command) -> anyhow::Result<()> {
    match command {
        // Its environment is that of a step.
        Command::StepOwners(_) => return Ok(()),
        #[cfg(feature = "vm")]
        Command::Check(_) | Command::Expect(_) | Command::Replay(_) | Command::Vm(_) => {
            crate::vm::pool::check_variables()?;
        }
        _ => {}
    }
    variables::check()
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Build(args) => build::run(args),
        Command::Stream(args) => stream::run(&args),
        Command::Reference(args) => reference::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Conf(args) => conf::run(&args),
        Command::Inspect(args) => inspect::run(args),
        Command::Layers(args) => layers::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Merge(args) => merge::run(&args),
        #[cfg(feature = "registry")]
        Command::Lock(args) => lock::run(&args),
        #[cfg(feature = "registry")]
        Command::Pull(args) => pull::run(&args),
        #[cfg(feature = "registry")]
        Command::Push(args) => push::run(&args),
        #[cfg(feature = "registry")]
        Command::Copy(args) => copy::run(&args),
        #[cfg(feature = "registry")]
        Command::Login(args) => login::run(&args),
        #[cfg(feature = "registry")]
        Command::Logout(args) => logout::run(&args),
        #[cfg(feature = "vm")]
        Command::Load(args) => load::run(&args),
        #[cfg(feature = "vm")]
        Command::Check(args) => check::run(&args),
        #[cfg(feature = "vm")]
        Command::Expect(args) => expect::run(&args),
        #[cfg(feature = "vm")]
        Command::Replay(args) => replay::run(&args),
        #[cfg(feature = "vm")]
        Command::Vm(args) => vm::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::StepOwners(args) => step_owners::run(&args),
    }
}
