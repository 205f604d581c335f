//! `seatrial diff`: compares two images.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::BinaryBytes;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::args::{AccessArgs, LimitArgs, ReportFile, is_recipe, thread_count};
use super::exit::ExitWith;
use super::images::Access;
use super::output::only_streams;
use super::overwrite::OutputCheck;
use super::steps;
use super::streams::pretty_json;
use crate::archive::diff::{ImageDiff, LayerDiff, LayerState};
use crate::archive::{self, ArchiveError, Compression, Image, ImageSelector};
use crate::build::{Format, Options, Output, PlanOptions, Recipe, assemble, plan_with};
use crate::image::Platform;
use crate::report::html::diff_page;
use crate::text;

/// Compares two images: layers, bytes to transfer, files and config
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 if layers, files and config are the same, 1 if not.

Examples:
  seatrial diff old.tar new.tar
  seatrial diff released.tar app.toml --json | jq .ship
  seatrial diff docker://registry.example/my/app:1.0 app.toml
  seatrial diff old.tar new.tar --report html=diff.html")]
pub(super) struct Args {
    /// Docker-archive, OCI layout, docker://REFERENCE, docker-daemon:NAME:TAG, or
    /// recipe
    #[arg(value_name = "IMAGE")]
    first: PathBuf,

    /// The image to compare it with
    #[arg(value_name = "IMAGE")]
    second: PathBuf,

    /// Select one of several platforms, or set that of a recipe without `platforms`
    /// [default: the host's]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Also write a report: html, or json (one object)
    #[arg(long, value_name = "KIND=FILE", value_parser = report)]
    report: Vec<ReportFile>,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    access: AccessArgs,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Printed<'a> {
    same: bool,
    #[serde(flatten)]
    diff: &'a ImageDiff,
}

fn report(text: &str) -> Result<ReportFile, String> {
    ReportFile::parse(&["html", "json"], text)
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut outputs = OutputCheck::default();
    outputs.add_argument(&args.first);
    outputs.add_argument(&args.second);
    ReportFile::check_outputs(&args.report, &mut outputs)?;
    let access = args.access.access().reading();
    let (first, _first_file) = open(&args.first, args, &access)?;
    let (second, _second_file) = open(&args.second, args, &access)?;
    let diff = ImageDiff::between(&first, &second, thread_count(None))?;
    let same = diff.is_empty();
    let printed = Printed { same, diff: &diff };
    for report in &args.report {
        report.write(&match report.kind {
            "json" => pretty_json(&printed)? + "\n",
            _ => diff_page(&text::path(&args.first), &text::path(&args.second), &diff),
        })?;
    }
    let mut output = ReportFile::results(&args.report);
    match args.json {
        true => writeln!(output, "{}", pretty_json(&printed)?)?,
        false => write!(output, "{}", render(&diff))?,
    }
    match same {
        true => Ok(()),
        false => Err(ExitWith::NOT_AS_EXPECTED.into()),
    }
}

/// Opens an image. That of a recipe is built into a temporary file, which is removed when it is
/// dropped.
fn open(
    path: &Path,
    args: &Args,
    access: &Access<'_>,
) -> anyhow::Result<(Image, Option<NamedTempFile>)> {
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let limits = args.limits.limits();
    let selector =
        ImageSelector { platform: Some(platform.clone()), limits, ..ImageSelector::default() };
    if !is_recipe(path) {
        let opened = access.open(path, &selector)?;
        opened.image.check_platform(args.platform.as_ref())?;
        return Ok((opened.fetched()?, None));
    }
    let threads = thread_count(None);
    let recipe = match &args.platform {
        Some(selected) => Recipe::read_selected(path, selected)?,
        None => Recipe::read_for(path, &platform)?,
    };
    let recipe = Recipe { limits, ..recipe };
    let cache = args.access.cache();
    let options = PlanOptions { outputs: only_streams(), threads, cache, steps: steps::settings() };
    let plan = plan_with(access.for_recipe(recipe)?, &options)?;
    let file = NamedTempFile::new().map_err(ArchiveError::temporary_file)?;
    let options =
        Options { format: Format::Docker, compression: Compression::None, threads, cache };
    let output: &File = file.as_file();
    assemble(&plan, options, Output::File(output), &mut |_| ())?;
    let image = archive::open(file.path(), &ImageSelector { platform: None, ..selector })?;
    Ok((image, Some(file)))
}

/// The columns for the title of a layer.
const TITLE: usize = 46;
/// The most files of each kind that are listed.
const FILES_MAX: usize = 20;

fn render(diff: &ImageDiff) -> String {
    if diff.is_empty() {
        return "the images are the same\n".to_owned();
    }
    let count = |state| diff.layers.iter().filter(move |layer| layer.state == state).count();
    let mut output = format!(
        "layers: {} kept, {} moved, {} new, {} gone; {} to transfer\n",
        count(LayerState::Kept),
        count(LayerState::Moved),
        count(LayerState::New),
        count(LayerState::Gone),
        BinaryBytes(diff.ship)
    );
    for layer in diff.layers.iter().filter(|layer| layer.state != LayerState::Kept) {
        output += &line(layer);
    }
    let files = &diff.files;
    output += &format!(
        "files: {} added, {} removed, {} changed\n",
        files.added.len(),
        files.removed.len(),
        files.changed.len()
    );
    output += &listed("+", files.added.iter().map(|path| text::shorten(path).into_owned()));
    output += &listed("-", files.removed.iter().map(|path| text::shorten(path).into_owned()));
    let changed = files.changed.iter().map(|change| {
        format!("{} ({})", text::shorten(&change.path), change.differences.join(", "))
    });
    output += &listed("~", changed);
    for change in &diff.config {
        let value = |value: &serde_json::Value| match value {
            serde_json::Value::Null => "not set".to_owned(),
            value => text::shorten(&value.to_string()).into_owned(),
        };
        output += &format!("{}:\n", text::shorten(&change.field));
        output += &format!("  - {}\n  + {}\n", value(&change.first), value(&change.second));
    }
    output
}

fn line(layer: &LayerDiff) -> String {
    let state = match layer.state {
        LayerState::Kept => "kept",
        LayerState::Moved => "moved",
        LayerState::New => "new",
        LayerState::Gone => "gone",
    };
    let digest = &layer.diff_id.0.hex()[..12];
    let size = BinaryBytes(layer.size).to_string();
    let title = layer.contents.title(layer.number, TITLE);
    format!("  {state:<6}{size:>12}  {digest}  {title}\n")
}

fn listed(mark: &str, files: impl ExactSizeIterator<Item = String>) -> String {
    let more = files.len().saturating_sub(FILES_MAX);
    let mut output: String =
        files.take(FILES_MAX).map(|file| format!("  {mark} {file}\n")).collect();
    if more > 0 {
        output += &format!("  {mark} and {more} more\n");
    }
    output
}
