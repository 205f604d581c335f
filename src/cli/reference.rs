//! `seatrial reference`: prints `name:tag` of a recipe's image.

use std::io::Write;
use std::path::PathBuf;

use super::args::RecipeArgs;
use super::output::only_streams;
use super::streams::stdout;
use crate::build;
use crate::image::Platform;

/// Prints each name:tag of a recipe's image without building the image
#[derive(Debug, clap::Args)]
#[command(after_help = "\
If the recipe has no tag, the tag is derived from the inputs: from the names of
store paths, and from the content of all other files.

Example:
  docker run --rm $(seatrial reference app.toml)")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,

    /// File that `build` writes with -o or --sbom-file; like NAME.tar, it is not part
    /// of the contents; may be repeated
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,

    /// Select one of the recipe's platforms, or set that of a recipe without
    /// `platforms` [default: the host's]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let recipe = args.recipe.read(args.platform.as_ref())?;
    let threads = args.recipe.build.threads();
    let mut references = recipe.references();
    if references.is_empty() {
        let mut outputs = only_streams();
        args.output.iter().for_each(|output| outputs.add_file(output, "--output"));
        let build = &args.recipe.build;
        let plan = build.plan_recipe(recipe, &build.access().reading(), &outputs)?;
        references = build::references(&plan, threads, args.recipe.build.cache())?;
    }
    for reference in references {
        writeln!(stdout(), "{reference}")?;
    }
    Ok(())
}
