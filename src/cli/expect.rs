//! `seatrial expect`: drafts an expectations file from an image.

use std::io::Write;

use super::args::{ImageArgs, thread_count};
use super::streams::stdout;
use crate::check::ImageUnderTest;

/// Drafts an expectations file from an image
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The draft has the image's config, environment and main program, with a comment
at each guess. The image itself meets it.

Example:
  seatrial expect app.tar > app.expect.toml
  seatrial check app.tar --expect app.expect.toml")]
pub(super) struct Args {
    #[command(flatten)]
    image: ImageArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let image = ImageUnderTest::read(args.image.open()?.fetched()?, thread_count(None))?;
    write!(stdout(), "{}", image.draft()?)?;
    Ok(())
}
