//! `seatrial inspect`: verifies, describes and lints an image.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::args::{ImageArgs, thread_count};
use super::exit::ExitWith;
use super::streams::{pretty_json, stdout};
use super::summary;
use crate::archive::{Image, verify};
use crate::image::Summary;
use crate::lint::{Finding, Level, lint};
use crate::text;

/// Verifies, describes and lints an image
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial inspect app.tar
  seatrial inspect layout-folder --json | jq -r .id
  seatrial inspect many.tar --name my/app --tag 1.0
  seatrial inspect multi.tar --platform linux/arm/v7
  seatrial inspect app.tar --deny warnings   # for continuous integration")]
pub(super) struct Args {
    #[command(flatten)]
    image: ImageArgs,

    /// Describe the image and the findings as one JSON object
    #[arg(long)]
    json: bool,

    /// Exit with code 1 if there are findings at this level or above
    #[arg(long, value_name = "LEVEL")]
    deny: Option<Deny>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Deny {
    Notes,
    Warnings,
}

impl Deny {
    fn applies_to(self, finding: &Finding) -> bool {
        match self {
            Self::Notes => true,
            Self::Warnings => finding.level == Level::Warning,
        }
    }
}

/// The output of `--json`.
#[derive(Serialize)]
struct Inspected<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    lint: &'a [Finding],
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let image = args.image.open()?;
    let layers = verify::layers(&image, thread_count(None))?;
    let sizes: Vec<u64> = layers.iter().map(|layer| layer.size).collect();
    let blobs: Vec<_> = image.layers.iter().map(|layer| layer.digest).collect();
    let summary = Summary::new(&image.config, image.id(), &image.references, &sizes, &blobs);
    let findings = lint(&image, &layers)?;
    if args.json {
        let inspected = Inspected { summary: &summary, lint: &findings };
        writeln!(stdout(), "{}", pretty_json(&inspected)?)?;
    } else {
        print(&args.image.image, &image, &summary, &findings)?;
    }
    match args.deny {
        Some(deny) if findings.iter().any(|finding| deny.applies_to(finding)) => {
            Err(ExitWith::NOT_AS_EXPECTED.into())
        }
        _ => Ok(()),
    }
}

fn print(path: &Path, image: &Image, summary: &Summary, findings: &[Finding]) -> io::Result<()> {
    let mut output = stdout();
    writeln!(output, "{} ({})", text::path(path), image.format)?;
    write!(output, "{}", summary::render(summary))?;
    for Finding { level, rule, problem, impact, fix } in findings {
        let level = match level {
            Level::Warning => "warning",
            Level::Note => "note",
        };
        writeln!(output, "{level:<8}{rule}: {problem}")?;
        writeln!(output, "        impact: {impact}\n        fix:    {fix}")?;
    }
    Ok(())
}
