//! `seatrial expect`: drafts an expectations file from an image.

use std::io::Write;

use anyhow::Context;

use super::args::{ImageArgs, is_recipe, selected_engines, thread_count};
use super::check_inputs::Inputs;
use super::exit::UsageError;
use super::guests::prepare_guest;
use super::runtime::{block_on, interruptible};
use super::streams::stdout;
use crate::check::draft::behavior::Behavior;
use crate::check::{CheckError, CheckInput, ImageUnderTest};
use crate::harness::Daemon;
use crate::vm::Options as VmOptions;
use crate::vm::pool::PrepareOptions;

/// Drafts an expectations file from an image
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The draft has the image's config, environment and main program, with a comment
at each guess. With --engine, it also has what the image's command does in a
container: what it prints, or on which ports it answers and how it stops. The
image itself meets the draft. A recipe (.toml, .json) is built first.

Examples:
  seatrial expect app.toml > app.expect.toml
  seatrial expect app.tar > app.expect.toml
  seatrial expect app.tar --engine docker-28 > app.expect.toml
  seatrial check app.tar --expect app.expect.toml")]
pub(super) struct Args {
    #[command(flatten)]
    image: ImageArgs,
    /// Run the image's command on this engine, and draft what it does
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let CheckInput { image, .. } = &input(&args.image)?;
    let observed = match &args.engine {
        None => None,
        Some(name) => {
            let engine = selected_engine(name)?;
            prepare_guest(&engine, &PrepareOptions::default())?;
            Some(block_on(interruptible(observe(image, &engine)))?)
        }
    };
    write!(stdout(), "{}", image.draft(observed.as_ref())?)?;
    Ok(())
}

/// Opens the image, or builds that of a recipe.
fn input(args: &ImageArgs) -> anyhow::Result<CheckInput> {
    let (platform, threads) = (args.platform(), thread_count(None));
    if !is_recipe(&args.image) {
        return Ok(CheckInput::from_image(args.open()?.fetched()?, platform, threads)?);
    }
    if args.selects_by_name() {
        return Err(UsageError("a recipe has one image; leave out --name and --tag").into());
    }
    let inputs = Inputs {
        images: vec![args.image.clone()],
        recipes: Vec::new(),
        requested: args.selects_platform().then(|| platform.clone()),
        platforms: [platform].into(),
        limits: args.limits(),
        access: args.access_args().clone(),
        only_reads: true,
        threads,
    };
    inputs.open()?.pop().context("there is no image")
}

/// Returns the only engine that `name` selects.
fn selected_engine(name: &str) -> anyhow::Result<String> {
    match &selected_engines(&[name.to_owned()])?[..] {
        [engine] => Ok(engine.clone()),
        engines => {
            let names = engines.join(", ");
            anyhow::bail!("--engine takes one engine, but \"{name}\" selects {names}")
        }
    }
}

async fn observe(image: &ImageUnderTest, engine: &str) -> Result<Behavior, CheckError> {
    let daemon = Daemon::start(engine, VmOptions::default()).await?;
    image.observe(&daemon, engine).await
}
