//! `seatrial stream`: writes a recipe's image to standard output.

use std::io::Write;

use super::args::RecipeArgs;
use super::output::{STDOUT, refuse_terminal, write_to_stream};
use super::streams::{messages, raw_stdout};
use crate::archive::Compression;
use crate::build::{Format, Options};
use crate::image::Platform;

/// Writes a recipe's image to standard output as an uncompressed docker-archive
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial stream app.toml | docker load
  seatrial stream app.toml | ssh host docker load
  seatrial stream app.toml | skopeo copy docker-archive:/dev/stdin dir:app")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,

    /// Select one of the recipe's platforms, or set that of a recipe without
    /// `platforms` [default: the host's]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    refuse_terminal(
        "failed to write the archive: standard output is a terminal; pipe it, as in: seatrial \
         stream RECIPE | docker load",
    )?;
    let (threads, cache) = (args.recipe.build.threads(), args.recipe.build.cache());
    let options =
        Options { format: Format::Docker, compression: Compression::None, threads, cache };
    let plans = [args.recipe.plan(args.platform.as_ref(), &Platform::host())?];
    let summary = write_to_stream(&plans, options, &mut raw_stdout().lock(), STDOUT)?.remove(0);
    writeln!(messages(), "streamed {}", summary.reference.unwrap_or_default())?;
    Ok(())
}
