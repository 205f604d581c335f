//! `seatrial stream`: a recipe becomes a docker-archive on standard output.

use std::io::{self, IsTerminal, Write};

use super::exit::Usage;
use super::{RecipeArgs, build};
use crate::archive::Compression;
use crate::build::{Format, Options};

/// Writes the image of a recipe to standard output, uncompressed, for `docker load`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial stream app.toml | docker load
  seatrial stream app.toml | ssh host docker load
  seatrial stream app.toml | skopeo copy docker-archive:/dev/stdin dir:app")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    if io::stdout().is_terminal() {
        return Err(Usage(
            "an archive does not go to a terminal; pipe it, as in: seatrial stream RECIPE | docker load",
        )
        .into());
    }
    let (threads, cache) = (args.recipe.threads(), args.recipe.cache());
    let options =
        Options { format: Format::Docker, compression: Compression::None, threads, cache };
    let plans = [args.recipe.plan(crate::image::Platform::host().arch)?];
    let summary =
        build::to_stream(&plans, options, &mut io::stdout().lock(), build::STDOUT)?.remove(0);
    writeln!(io::stderr(), "streamed {}", summary.reference.unwrap_or_default())?;
    Ok(())
}
