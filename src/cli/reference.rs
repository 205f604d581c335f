//! `seatrial reference`: prints `name:tag` of a recipe's image.

use std::io::Write;

use super::args::RecipeArgs;
use super::streams::stdout;
use crate::build::{self, plan};

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
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let recipe = args.recipe.read()?;
    let threads = args.recipe.threads();
    let mut references = recipe.references();
    if references.is_empty() {
        references = build::references(&plan(recipe, threads)?, threads, args.recipe.cache())?;
    }
    for reference in references {
        writeln!(stdout(), "{reference}")?;
    }
    Ok(())
}
