//! `seatrial build`: builds a recipe's image into an archive.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{CompressArg, FormatArg, RecipeArgs};
use super::output::{
    BeforeOutput, STDOUT, is_stdout, refuse_terminal, results, write_to_file, write_to_stream,
    write_to_stream_by_file,
};
use super::overwrite::OutputCheck;
use super::sbom::{BillOutput, SbomArgs};
use super::streams::{is_quiet, pretty_json, raw_stdout};
use super::summary;
use crate::archive::Compression;
use crate::build::{Format, Options, Plan, Recipe};
use crate::files::output::{OutputFile, is_stream, open_stream};
use crate::image::{Platform, Summary};
use crate::text;

/// Builds a recipe's image into an archive
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial build app.toml
  seatrial build app.toml -o app.tar.gz --compress gzip
  seatrial build app.toml --format oci --compress zstd -o app-oci.tar
  seatrial build app.toml -o - | docker load
  seatrial build app.toml --platform linux/arm64
  seatrial build app.toml --sbom spdx   # and app.spdx.json")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,

    /// File to write; `-` for standard output [default: NAME.tar]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Docker-archive, OCI layout in a tar, or dual: both in one tar
    #[arg(long, value_enum, default_value_t = FormatArg::Docker)]
    format: FormatArg,

    /// Compress the archive (docker) or each new layer (oci, dual)
    #[arg(long, value_name = "METHOD", value_enum, default_value_t = CompressArg::None)]
    compress: CompressArg,

    /// Build only the image for this platform, or set the platform of a recipe without
    /// `platforms`; may be repeated [default: all of the recipe's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,

    #[command(flatten)]
    sbom: SbomArgs,

    /// Describe the image as one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    fn options(&self) -> Options {
        Options {
            format: self.format.into(),
            compression: self.compress.into(),
            threads: self.recipe.build.threads(),
            cache: self.recipe.build.cache(),
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let options = args.options();
    let to_stdout = args.output.as_deref().is_some_and(is_stdout);
    if to_stdout {
        refuse_terminal(
            "failed to write the archive: standard output is a terminal; redirect it, or use \
             -o FILE",
        )?;
    }
    let recipes = args.recipe.read_all(&args.platform)?;
    let path = args.output.clone().unwrap_or_else(|| default_output(&recipes, options));
    let target = if to_stdout { STDOUT.to_owned() } else { text::path(&path) };
    // Before anything is fetched or written.
    let mut check = OutputCheck::default();
    recipes.iter().for_each(|recipe| check.add_recipe(recipe));
    check.add_build_output(&path, "--output")?;
    let is_stream = to_stdout || is_stream(&path);
    let file = if is_stream { None } else { Some(OutputFile::beside(&path)?) };
    let mut bills = args.sbom.outputs(&recipes, &mut check)?;
    let mut outputs = check.of_builds();
    let unfinished = file.iter().chain(bills.iter().filter_map(BillOutput::file));
    unfinished.for_each(|file| outputs.add_unfinished(file));
    // Standard output, which `-` stands for, is among the outputs of every command.
    if let (true, Ok(metadata)) = (is_stream && !to_stdout, path.metadata()) {
        outputs.add_stream(&path, &metadata);
    }
    let plans = args.recipe.plan_all(recipes, &outputs)?;
    let mut before = |file: &File, plans: &[Plan], summaries: &[Summary]| {
        args.sbom.write(&mut bills, file, target.as_ref(), plans, summaries, options.threads)
    };
    let summaries = match file {
        Some(file) => write_to_file(&plans, options, file, &path, &mut before)?,
        None => stream(&args, &plans, &path, &target, &mut before)?,
    };
    let mut output = results(to_stdout || args.sbom.is_to_stdout());
    print(&summaries, &target, args.json, &mut output)?;
    if !args.json && !is_quiet() {
        bills.iter().try_for_each(|bill| writeln!(output, "{}", bill.describe()))?;
    }
    Ok(())
}

/// Builds into standard output, or the stream at `path`, which messages call `target`.
fn stream(
    args: &Args,
    plans: &[Plan],
    path: &Path,
    target: &str,
    before: BeforeOutput<'_>,
) -> anyhow::Result<Vec<Summary>> {
    let options = args.options();
    let mut stream: Box<dyn Write> = match is_stdout(path) {
        true => Box::new(raw_stdout().lock()),
        false => Box::new(open_stream(path)?),
    };
    match args.sbom.is_wanted() {
        true => write_to_stream_by_file(plans, options, &mut *stream, target, before),
        false => Ok(write_to_stream(plans, options, &mut *stream, target)?),
    }
}

/// Returns the recipe's default archive.
fn default_output(recipes: &[Recipe], options: Options) -> PathBuf {
    let whole = options.format == Format::Docker;
    let compression = if whole { options.compression } else { Compression::None };
    recipes.first().map(|recipe| recipe.default_archive(compression)).unwrap_or_default()
}

/// Describes the images that were written. In JSON, one image is one object; images for several
/// platforms are a list in an object.
fn print(
    summaries: &[Summary],
    target: &str,
    json: bool,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    match (json, summaries) {
        (true, [summary]) => writeln!(output, "{}", pretty_json(summary)?)?,
        (true, all) => writeln!(output, "{}", pretty_json(&json!({ "images": all }))?)?,
        (false, _) if is_quiet() => {}
        (false, all) => {
            writeln!(output, "wrote {target}")?;
            all.iter().try_for_each(|summary| write!(output, "{}", summary::render(summary)))?;
        }
    }
    Ok(())
}
