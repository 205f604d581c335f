//! `seatrial conf`: describes a recipe's image as nixpkgs' script for streams does.

use std::io::Write;

use super::args::RecipeArgs;
use super::streams::{pretty_json, stdout};
use crate::build::stream_conf;
use crate::image::Platform;

/// Prints a recipe's image as JSON with its layers, in the format of nixpkgs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The JSON is what nixpkgs' script stream_layered_image reads: store_layers lists
the store paths of each layer. seatrial reads it like a recipe.

Example:
  seatrial conf app.toml > conf.json && seatrial stream conf.json | docker load")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,

    /// Select one of the recipe's platforms, or set that of a recipe without
    /// `platforms` [default: the host's]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let (plan, document) = args.recipe.plan_reading_with_text(args.platform.as_ref())?;
    let (threads, cache) = (args.recipe.build.threads(), args.recipe.build.cache());
    let references = crate::build::references(&plan, threads, cache)?;
    for reference in references.iter().take(1) {
        let conf = stream_conf(&plan, &document, reference)?;
        writeln!(stdout(), "{}", pretty_json(&conf)?)?;
    }
    Ok(())
}
