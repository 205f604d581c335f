//! `seatrial inspect`: verifies, describes and lints an image.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::{LimitArgs, thread_count};
use super::exit::ExitWith;
use super::streams::{pretty_json, stdout};
use super::summary;
use crate::archive::{self, Image, ImageSelector, verify};
use crate::image::{Platform, Summary};
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
    /// Docker-archive (plain, gzip, zstd, xz) or OCI layout (folder or tar)
    image: PathBuf,

    /// Select one of several images by name
    #[arg(long)]
    name: Option<String>,

    /// Select one of several images by tag
    #[arg(long)]
    tag: Option<String>,

    /// Select one of several images by platform [default: the host's]
    #[arg(long, value_name = "PLATFORM", visible_alias = "architecture")]
    platform: Option<Platform>,

    /// Describe the image and the findings as one JSON object
    #[arg(long)]
    json: bool,

    /// Exit with code 1 if there are findings at this level or above
    #[arg(long, value_name = "LEVEL")]
    deny: Option<Deny>,

    #[command(flatten)]
    limits: LimitArgs,
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
    let platform = args.platform.unwrap_or_else(Platform::host);
    let selector = ImageSelector {
        name: args.name,
        tag: args.tag,
        platform: Some(platform),
        limits: args.limits.limits(),
    };
    let image = archive::open(&args.image, &selector)?;
    let layers = verify::layers(&image, thread_count(None))?;
    let sizes: Vec<u64> = layers.iter().map(|layer| layer.size).collect();
    let blobs: Vec<_> = image.layers.iter().map(|layer| layer.digest).collect();
    let summary = Summary::new(&image.config, image.id(), &image.references, &sizes, &blobs);
    let findings = lint(&image, &layers)?;
    if args.json {
        let inspected = Inspected { summary: &summary, lint: &findings };
        writeln!(stdout(), "{}", pretty_json(&inspected)?)?;
    } else {
        print(&args.image, &image, &summary, &findings)?;
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
