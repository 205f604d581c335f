//! `seatrial inspect`: verifies, describes and lints an image.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::args::ImageArgs;
use super::exit::ExitWith;
use super::images::Opened;
use super::streams::{messages, pretty_json, stdout};
use super::summary;
use crate::archive::Image;
use crate::image::manifest::OciPlatform;
use crate::image::{Digest, Summary};
use crate::lint::{Finding, Level, lint, lint_config};
#[cfg(feature = "registry")]
use crate::registry::Referrer;
use crate::text;

/// Verifies, describes and lints an image
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial inspect app.tar
  seatrial inspect layout-folder --json | jq -r .id
  seatrial inspect many.tar --name my/app --tag 1.0
  seatrial inspect multi.tar --platform linux/arm/v7
  seatrial inspect app.tar --deny warnings   # for continuous integration
  seatrial inspect docker://debian:12        # fetches manifest and config only
  seatrial inspect docker://debian:12 --verify")]
pub(super) struct Args {
    #[command(flatten)]
    image: ImageArgs,

    /// Describe the image and the findings as one JSON object
    #[arg(long)]
    json: bool,

    /// Exit with code 1 if there are findings at this level or above
    #[arg(long, value_name = "LEVEL")]
    deny: Option<Deny>,

    /// Also fetch the layers of an image in a registry, check their digests and
    /// lint their files; layers of other images are always read
    #[arg(long)]
    verify: bool,
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
    /// The digest that the reference in a registry names.
    digest: Option<Digest>,
    /// The digest of the manifest.
    manifest: Option<Digest>,
    /// The annotations of the manifest.
    annotations: &'a BTreeMap<String, String>,
    /// The annotations of the index that lists it.
    index_annotations: &'a BTreeMap<String, String>,
    /// The artifacts that are attached to an image in a registry, if it lists them.
    #[cfg(feature = "registry")]
    referrers: Option<Vec<Referrer>>,
    /// Whether the layers were read and all digests are correct.
    verified: bool,
    lint: &'a [Finding],
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let opened = args.image.open()?;
    let verified = args.verify || !opened.is_remote();
    let digest = digest(&opened);
    let image = &opened.image;
    let (sizes, findings) = match verified {
        true => {
            let layers = opened.verified_layers()?;
            let sizes = layers.iter().map(|layer| layer.size).collect();
            (sizes, lint(image, &layers)?)
        }
        false => (vec![0; image.layers.len()], lint_config(image)),
    };
    let blobs: Vec<_> = image.layers.iter().map(|layer| layer.digest).collect();
    let mut summary = Summary::new(&image.config, image.id(), &image.references, &sizes, &blobs);
    for (layer, stored) in summary.layers.iter_mut().zip(&image.layers) {
        layer.stored_size = Some(stored.bytes.len());
        layer.size = layer.size.filter(|_| verified);
    }
    let (lint, manifest) = (&*findings, image.manifest);
    let inspected = Inspected {
        summary: &summary,
        digest,
        manifest,
        annotations: &image.annotations,
        index_annotations: &image.index_annotations,
        #[cfg(feature = "registry")]
        referrers: opened.remote.as_ref().and_then(|(from, remote)| from.referrers(remote)),
        verified,
        lint,
    };
    if args.json {
        writeln!(stdout(), "{}", pretty_json(&inspected)?)?;
    } else {
        print(&args.image.image, image, &inspected)?;
    }
    if !args.image.selects_platform() && !image.other_platforms.is_empty() {
        // The result does not depend on whether this can be printed.
        let _ = writeln!(messages(), "{}", unchecked(&image.other_platforms));
    }
    match args.deny {
        Some(deny) if findings.iter().any(|finding| deny.applies_to(finding)) => {
            Err(ExitWith::NOT_AS_EXPECTED.into())
        }
        _ => Ok(()),
    }
}

/// Returns the values of what is attached to an image: annotations and artifacts.
fn attached(inspected: &Inspected<'_>) -> Vec<summary::Value> {
    let mut values = summary::listed("annotation", inspected.annotations);
    let of_index = inspected.index_annotations.iter();
    // Builders write the same annotations to the index and to all manifests.
    let differs =
        |(name, value): &(&String, &String)| inspected.annotations.get(*name) != Some(*value);
    let of_index = of_index.filter(differs).map(|(name, value)| (name.clone(), value.clone()));
    values.extend(summary::listed("of index", &of_index.collect()));
    #[cfg(feature = "registry")]
    {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for referrer in inspected.referrers.iter().flatten() {
            *kinds.entry(&referrer.artifact_type).or_default() += 1;
        }
        let kinds = kinds.into_iter().map(|(kind, count)| match count {
            1 => ("attached", kind.to_owned()),
            count => ("attached", format!("{kind} ({count})")),
        });
        values.extend(summary::limited(kinds.collect()));
    }
    values
}

/// The digest that a reference in a registry names.
fn digest(opened: &Opened) -> Option<Digest> {
    #[cfg(feature = "registry")]
    return opened.remote.as_ref().map(|(_, remote)| remote.digest);
    #[cfg(not(feature = "registry"))]
    {
        let _ = opened;
        None
    }
}

/// Describes that images for `others`, some platforms, were not checked.
fn unchecked(others: &[OciPlatform]) -> String {
    let names: BTreeSet<String> = others.iter().map(ToString::to_string).collect();
    let shown = text::list(&names);
    match names.len() {
        1 => format!("note: the image for {shown} was not checked; --platform selects it"),
        _ => format!("note: the images for {shown} were not checked; --platform selects one"),
    }
}

fn print(path: &Path, image: &Image, inspected: &Inspected<'_>) -> io::Result<()> {
    let Inspected { summary, digest, manifest, verified, lint, .. } = inspected;
    let mut output = stdout();
    writeln!(output, "{} ({})", text::path(path), image.format)?;
    if let Some(digest) = digest {
        writeln!(output, "  {:<12}{digest}", "digest")?;
        if let Some(manifest) = manifest.filter(|manifest| manifest != digest) {
            writeln!(output, "  {:<12}{manifest}", "manifest")?;
        }
    }
    write!(output, "{}", summary::render_all(summary, &attached(inspected)))?;
    for Finding { level, rule, problem, impact, fix } in *lint {
        let level = match level {
            Level::Warning => "warning",
            Level::Note => "note",
        };
        writeln!(
            output,
            "{}",
            text::paragraph(&format!("{level:<8}"), 8, &format!("{rule}: {problem}"))
        )?;
        writeln!(output, "{}", text::paragraph("        impact: ", 16, impact))?;
        writeln!(output, "{}", text::paragraph("        fix:    ", 16, fix))?;
    }
    if !verified {
        writeln!(output, "layers were not fetched or verified; --verify does that")?;
    }
    Ok(())
}
