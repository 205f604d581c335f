//! `seatrial inspect`: what is in an image, verified.

use std::io::{self, Write};
use std::path::PathBuf;

use super::{summary, threads};
use crate::archive::{self, ArchiveError, Choice, Image, verify};
use crate::image::{Platform, Summary};

/// Describes an image after checking every digest in it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial inspect app.tar
  seatrial inspect layout-folder --json | jq -r .id
  seatrial inspect many.tar --name my/app --tag 1.0")]
pub(super) struct Args {
    /// A docker-archive (plain, gzip, zstd, xz) or an OCI layout (folder or tar)
    image: PathBuf,

    /// Which image, where there are several: by name
    #[arg(long)]
    name: Option<String>,

    /// Which image, where there are several: by tag
    #[arg(long)]
    tag: Option<String>,

    /// Which image, where there are several: by architecture [default: the host's]
    #[arg(long)]
    architecture: Option<Platform>,

    /// Describe the image as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let platform = args.architecture.unwrap_or_else(Platform::host);
    let choice = Choice { name: args.name, tag: args.tag, platform: Some(platform) };
    let image = archive::open(&args.image, &choice)?;
    let summary = describe(&image)?;
    let mut output = io::stdout();
    if args.json {
        writeln!(output, "{}", serde_json::to_string_pretty(&summary)?)?;
    } else {
        let others = image.references.iter().skip(1).map(|other| format!("  {:<12}{other}\n", ""));
        write!(
            output,
            "{} ({})\n{}{}",
            args.image.display(),
            image.format,
            summary::draw(&summary),
            others.collect::<String>()
        )?;
    }
    Ok(())
}

fn describe(image: &Image) -> Result<Summary, ArchiveError> {
    let facts = verify::layers(image, threads(None))?;
    let sizes: Vec<u64> = facts.iter().map(|layer| layer.size).collect();
    Ok(Summary::new(&image.config, image.id(), image.references.first().map(String::as_str), &sizes))
}
