//! `seatrial lock`: writes what the tags of a recipe's base images mean.

use std::io::Write;
use std::path::PathBuf;

use super::args::RecipeArgs;
use super::exit::UsageError;
use super::streams::stdout;
use crate::build::Recipe;
use crate::build::lock::{self, Locked};
use crate::image::{Platform, RemoteReference};
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
    let mut output = stdout();
    let locks = references(&args.recipe.read_all(&args.platform)?)?;
    if locks.is_empty() {
        writeln!(output, "no base image has a tag in a registry; there is nothing to lock")?;
        return Ok(());
    }
    let (registries, limits) = (access.registries()?, args.recipe.build.limits());
    let mut locked = Vec::new();
    for (recipe, references) in locks {
        locked.extend(lock::lock(&recipe, registries, &references, limits, args.update)?);
    }
    for Locked { image, before } in locked {
        let change = before.map(|digest| format!(" (was {digest})")).unwrap_or_default();
        // Scripts read it, so it is never shortened.
        let reference = text::escape(&image.reference);
        writeln!(output, "{reference} {} {}{change}", image.platform, image.digest)?;
    }
    Ok(())
}

/// The images that a recipe names by tag, each for a platform.
type References = Vec<(RemoteReference, Platform)>;

/// The images that `recipes`, and those that they are built from, name by tag, by the recipe that
/// names them.
fn references(recipes: &[Recipe]) -> anyhow::Result<Vec<(PathBuf, References)>> {
    let mut all: Vec<(PathBuf, References)> = Vec::new();
    for recipe in recipes {
        for recipe in std::iter::once(recipe.clone()).chain(recipe.named_recipes()?) {
            let platform = recipe.platform.clone().unwrap_or_else(Platform::host);
            let of_tags = recipe.remote_images().filter(|reference| reference.digest.is_none());
            for reference in of_tags {
                let image = (reference.clone(), platform.clone());
                match all.iter_mut().find(|(path, _)| *path == recipe.path) {
                    Some((_, images)) if images.contains(&image) => {}
                    Some((_, images)) => images.push(image),
                    None => all.push((recipe.path.clone(), vec![image])),
                }
            }
        }
    }
    Ok(all)
}
