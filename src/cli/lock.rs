//! `seatrial lock`: writes what the tags of a recipe's base images mean.

use std::io::Write;

use super::args::RecipeArgs;
use super::exit::UsageError;
use super::streams::stdout;
use crate::build::lock::{self, Locked};
use crate::image::{Location, Platform, RemoteReference};
use crate::text;

/// Pins a recipe's base images by digest in seatrial.lock
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial lock app.toml            # locks base images that are not locked yet
  seatrial lock app.toml --update   # asks the registries again

The file seatrial.lock is in the recipe's folder; commit it. Builds use what it
has, and lock a base image when they use it for the first time.")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,

    /// Lock only the images for this platform, or set the platform of a recipe without
    /// `platforms`; may be repeated [default: all of the recipe's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,

    /// Also lock images that are locked already to what their tags mean now
    #[arg(long)]
    update: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.recipe.build.is_locked() {
        return Err(UsageError("lock writes seatrial.lock; --locked is for other commands").into());
    }
    let access = args.recipe.build.access();
    let recipes = args.recipe.read_all(&args.platform)?;
    let base = |recipe: &crate::build::Recipe| match &recipe.from_image {
        Some(Location::Registry(reference)) if reference.digest.is_none() => {
            let platform = recipe.platform.clone().unwrap_or_else(Platform::host);
            Some((reference.clone(), platform))
        }
        _ => None,
    };
    let references: Vec<(RemoteReference, Platform)> = recipes.iter().filter_map(base).collect();
    let mut output = stdout();
    let Some(recipe) = recipes.first().filter(|_| !references.is_empty()) else {
        writeln!(output, "no base image has a tag in a registry; there is nothing to lock")?;
        return Ok(());
    };
    let limits = args.recipe.build.limits();
    let locked = lock::lock(&recipe.path, access.registries()?, &references, limits, args.update)?;
    for Locked { image, before } in locked {
        let change = before.map(|digest| format!(" (was {digest})")).unwrap_or_default();
        // Scripts read it, so it is never shortened.
        let reference = text::escape(&image.reference);
        writeln!(output, "{reference} {} {}{change}", image.platform, image.digest)?;
    }
    Ok(())
}
