//! `seatrial reference`: the name and tag that a recipe's image carries.

use std::io::{self, Write};

use super::RecipeArgs;
use crate::build::{assemble, plan};
use crate::image::Reference;

/// Prints name:tag of a recipe's image, building nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Where the recipe gives no tag, the printed one is derived from the inputs:
store paths count by name, everything else by content.

Example:
  docker run --rm $(seatrial reference app.toml)")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let recipe = args.recipe.read()?;
    let threads = args.recipe.threads();
    let reference = match &recipe.tag {
        Some(tag) => Reference { name: recipe.name.clone(), tag: tag.clone() },
        None => assemble::reference(&plan(recipe, threads)?, threads, args.recipe.cache())?,
    };
    writeln!(io::stdout(), "{reference}")?;
    Ok(())
}
