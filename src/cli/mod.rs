//! The command line: one file a subcommand, each of which parses, calls and prints, and decides nothing.
//!
//! Results go to standard output, everything else to standard error.

mod build;
#[cfg(feature = "vm")]
mod check;
mod doctor;
mod exit;
mod inspect;
#[cfg(feature = "vm")]
mod load;
mod progress;
mod reference;
#[cfg(feature = "vm")]
mod replay;
#[cfg(feature = "vm")]
mod report;
mod stream;
mod summary;
#[cfg(feature = "vm")]
mod vm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::build::{BuildError, CacheUse, Plan, Recipe};
use crate::image::platform::Arch;

/// Builds container images with no daemon and no root, the same bytes every time.
#[derive(Debug, Parser)]
#[command(name = "seatrial", version, max_term_width = 80, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  seatrial build app.toml                     writes NAME.tar
  seatrial stream app.toml | docker load      no file in between
  seatrial inspect app.tar                    what is in an image

A recipe needs no more than:
  name = \"my/app\"
  contents = [\"./rootfs\"]
  [config]
  Cmd = [\"/bin/app\"]

Exit codes: 0 fine, 1 not as expected, 2 bad input or usage, 3 the environment
failed.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Args),
    Stream(stream::Args),
    Reference(reference::Args),
    Inspect(inspect::Args),
    #[cfg(feature = "vm")]
    Load(load::Args),
    #[cfg(feature = "vm")]
    Check(check::Args),
    #[cfg(feature = "vm")]
    Replay(replay::Args),
    #[cfg(feature = "vm")]
    Vm(vm::Args),
    Doctor(doctor::Args),
}

/// Runs the program with the process's arguments and says how it ended.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Build(args) => build::run(args),
        Command::Stream(args) => stream::run(args),
        Command::Reference(args) => reference::run(args),
        Command::Inspect(args) => inspect::run(args),
        #[cfg(feature = "vm")]
        Command::Load(args) => load::run(&args),
        #[cfg(feature = "vm")]
        Command::Check(args) => check::run(&args),
        #[cfg(feature = "vm")]
        Command::Replay(args) => replay::run(&args),
        #[cfg(feature = "vm")]
        Command::Vm(args) => vm::run(args),
        Command::Doctor(args) => doctor::run(&args),
    };
    exit::code(result)
}

/// What every command that reads a recipe takes.
#[derive(Debug, clap::Args)]
struct RecipeArgs {
    /// The recipe: TOML, or JSON with the same keys; `-` for standard input
    recipe: PathBuf,

    /// Threads to use; the result does not depend on it [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Neither use nor keep what is known of layers from builds before; the bytes are the same
    #[arg(long, conflicts_with = "verify")]
    no_cache: bool,

    /// Read and hash everything anew, and keep that
    #[arg(long)]
    verify: bool,
}

impl RecipeArgs {
    fn cache(&self) -> CacheUse {
        match (self.no_cache, self.verify) {
            (true, _) => CacheUse::Off,
            (false, true) => CacheUse::Verify,
            (false, false) => CacheUse::On,
        }
    }

    fn threads(&self) -> usize {
        threads(self.threads)
    }

    /// The recipe; of one for several architectures, that of this machine.
    fn read(&self) -> Result<Recipe, BuildError> {
        let (place, text) = self.text()?;
        Recipe::parse(place, &text)
    }

    fn text(&self) -> Result<(&Path, String), BuildError> {
        let (place, text) = match self.recipe == Path::new("-") {
            true => (Path::new("standard input"), std::io::read_to_string(std::io::stdin())),
            false => (&*self.recipe, std::fs::read_to_string(&self.recipe)),
        };
        Ok((place, text.map_err(crate::archive::ArchiveError::read(place))?))
    }

    /// The plans of all architectures that the recipe is for.
    fn plan_all(&self) -> Result<Vec<Plan>, BuildError> {
        let (place, text) = self.text()?;
        let recipes = Recipe::parse_all(place, &text)?;
        recipes.into_iter().map(|recipe| crate::build::plan(recipe, self.threads())).collect()
    }

    /// The plan of the recipe; of one for several architectures, that of `arch`.
    fn plan(&self, arch: Arch) -> Result<Plan, BuildError> {
        let (place, text) = self.text()?;
        crate::build::plan(Recipe::parse_for(place, &text, arch)?, self.threads())
    }
}

/// Whether `path` is a recipe rather than an image.
#[cfg(feature = "vm")]
fn is_recipe(path: &Path) -> bool {
    path == Path::new("-")
        || path.extension().is_some_and(|extension| extension == "toml" || extension == "json")
}

fn threads(asked: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    asked.map_or_else(cores, usize::from)
}
