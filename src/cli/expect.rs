//! `seatrial expect`: drafts an expectations file from an image.

use std::io::Write;

use super::args::{ImageArgs, selected_engines, thread_count};
use super::guests::prepare_guest;
use super::runtime::{block_on, interruptible};
use super::streams::stdout;
use crate::check::draft::behavior::Behavior;
use crate::check::{CheckError, ImageUnderTest};
use crate::harness::Daemon;
use crate::vm::Options as VmOptions;
use crate::vm::pool::PrepareOptions;

/// Drafts an expectations file from an image
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The draft has the image's config, environment and main program, with a comment
at each guess. With --engine, it also has what the image's command does in a
container: what it prints, or on which ports it answers and how it stops. The
image itself meets the draft.

Examples:
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
    let image = ImageUnderTest::read(args.image.open()?.fetched()?, thread_count(None))?;
    let observed = match &args.engine {
        None => None,
        Some(name) => {
            let engine = selected_engine(name)?;
            prepare_guest(&engine, &PrepareOptions::default())?;
            Some(block_on(interruptible(observe(&image, &engine)))?)
        }
    };
    write!(stdout(), "{}", image.draft(observed.as_ref())?)?;
    Ok(())
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
