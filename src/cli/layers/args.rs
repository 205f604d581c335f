//! The arguments of `seatrial layers`.

use std::path::PathBuf;

use crate::cli::args::RecipeArgs;
use crate::image::Platform;

/// Shows how a recipe's image is split into layers, without building it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --history, measures which strategy would have shipped the fewest bytes over
a sequence of builds, oldest first: recipes, or reference graphs as written by
nix path-info --json --recursive. --write-plan writes the best layers as a file
for the recipe's layering.

Examples:
  seatrial layers app.toml
  seatrial layers app.toml --with web.tar --with worker.toml
  seatrial layers app.toml --history may.json june.json --write-plan plan.json")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    pub(super) recipe: RecipeArgs,

    /// Select one of the recipe's platforms, or set that of a recipe without
    /// `platforms` [default: the host's]
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Option<Platform>,

    /// Another image or recipe: show which layers are the same
    #[arg(long, value_name = "IMAGE")]
    pub(super) with: Vec<PathBuf>,

    /// Earlier builds, oldest first: recipes or reference graphs
    #[arg(long, value_name = "BUILD", num_args = 1.., conflicts_with = "with")]
    pub(super) history: Vec<PathBuf>,

    /// Number of earlier builds to make the measured plan of [default: half of all]
    #[arg(long, value_name = "N", requires = "history")]
    pub(super) learn: Option<usize>,

    /// Write the proposed layers to a file
    #[arg(long, value_name = "FILE", requires = "history")]
    pub(super) write_plan: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}
