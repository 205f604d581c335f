//! `seatrial inspect`: what is in an image, verified, and what of it will hurt somebody.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::exit::{Ended, NOT_AS_EXPECTED};
use super::{summary, threads};
use crate::archive::{self, ImageSelector, verify};
use crate::image::{Platform, Summary};
use crate::lint::{Finding, Level, lint};

/// Describes an image after checking every digest in it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial inspect app.tar
  seatrial inspect layout-folder --json | jq -r .id
  seatrial inspect many.tar --name my/app --tag 1.0
  seatrial inspect app.tar --deny warnings         for continuous integration")]
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

    /// End with exit code 1 where something is noticed that will hurt somebody
    #[arg(long, value_name = "LEVEL")]
    deny: Option<Deny>,
}

/// What is not to be put up with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Deny {
    /// What breaks something somewhere.
    Warnings,
    /// Anything at all that is noticed.
    Notes,
}

/// What `--json` prints: what every description of an image has, and what was noticed.
#[derive(Serialize)]
struct Inspected<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    lint: &'a [Finding],
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let platform = args.architecture.unwrap_or_else(Platform::host);
    let choice = ImageSelector { name: args.name, tag: args.tag, platform: Some(platform) };
    let image = archive::open(&args.image, &choice)?;
    let facts = verify::layers(&image, threads(None))?;
    let sizes: Vec<u64> = facts.iter().map(|layer| layer.size).collect();
    let blobs: Vec<_> = image.layers.iter().map(|layer| layer.digest).collect();
    let reference = image.references.first().map(String::as_str);
    let summary = Summary::new(&image.config, image.id(), reference, &sizes, &blobs);
    let findings = lint(&image, &facts)?;
    let mut output = io::stdout();
    if args.json {
        let inspected = Inspected { summary: &summary, lint: &findings };
        writeln!(output, "{}", serde_json::to_string_pretty(&inspected)?)?;
    } else {
        let others = image.references.iter().skip(1).map(|other| format!("  {:<12}{other}\n", ""));
        write!(
            output,
            "{} ({})\n{}{}{}",
            args.image.display(),
            image.format,
            summary::draw(&summary),
            others.collect::<String>(),
            findings.iter().map(told).collect::<String>()
        )?;
    }
    let denied = match args.deny {
        Some(Deny::Warnings) => findings.iter().any(|finding| finding.level == Level::Warning),
        Some(Deny::Notes) => !findings.is_empty(),
        None => false,
    };
    if denied { Err(Ended(NOT_AS_EXPECTED).into()) } else { Ok(()) }
}

fn told(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Warning => "warning",
        Level::Note => "note",
    };
    let Finding { rule, what, breaks, mend, .. } = finding;
    format!("{level:<8}{rule}: {what}\n        breaks: {breaks}\n        mend:   {mend}\n")
}
