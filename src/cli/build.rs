//! `seatrial build`: builds a recipe's image into an archive.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::args::{CompressArg, FormatArg, RecipeArgs};
use super::exit::UsageError;
use super::output::{
    STDOUT, is_stdout, refuse_terminal, results, stdout_metadata, write_to_file, write_to_stream,
    write_to_stream_by_file,
};
use super::overwrite::Files;
use super::sbom::{Document, SbomArgs};
use super::streams::{is_quiet, pretty_json, raw_stdout};
use super::summary;
use crate::build::output::{is_stream, open_stream};
use crate::build::{Format, Options, Plan};
use crate::image::Summary;
use crate::text;

/// Builds a recipe's image into an archive
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial build app.toml
  seatrial build app.toml -o app.tar.gz --compress gzip
  seatrial build app.toml --format oci --compress zstd -o app-oci.tar
  seatrial build app.toml -o - | docker load
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
    if to_stdout && args.sbom.is_to_stdout() {
        return Err(UsageError("only one of --output and --sbom-file can be -").into());
    }
    let mut plans = args.recipe.plan_all()?;
    let path = args.output.clone().unwrap_or_else(|| default_output(&plans, options));
    let mut files = Files::default();
    plans.iter().for_each(|plan| files.add_recipe(plan.recipe()));
    files.add_output(&path, "--output")?;
    args.sbom.leave_out(&mut plans, &mut files)?;
    let target = if to_stdout { STDOUT.to_owned() } else { text::path(&path) };
    let mut documents = Vec::new();
    let mut before = |file: &File, plans: &[Plan], summaries: &[Summary]| -> anyhow::Result<()> {
        documents =
            args.sbom.documents(file, target.as_ref(), plans, summaries, options.threads)?;
        documents.iter().try_for_each(Document::write)
    };
    let summaries = if to_stdout || is_stream(&path) {
        let mut stream: Box<dyn Write> = match to_stdout {
            true => Box::new(raw_stdout().lock()),
            false => Box::new(open_stream(&path)?),
        };
        let file = if to_stdout { stdout_metadata() } else { path.metadata().ok() };
        let (file, stream) = (file.as_ref(), &mut *stream);
        match args.sbom.is_wanted() {
            true => {
                write_to_stream_by_file(&mut plans, file, options, stream, &target, &mut before)?
            }
            false => write_to_stream(&mut plans, file, options, stream, &target)?,
        }
    } else {
        write_to_file(&mut plans, options, &path, &mut before)?
    };
    let mut output = results(to_stdout || args.sbom.is_to_stdout());
    print(&summaries, &target, args.json, &mut output)?;
    if !args.json && !is_quiet() {
        documents.iter().try_for_each(|document| writeln!(output, "{}", document.describe()))?;
    }
    Ok(())
}

/// Returns `NAME.tar`, with a suffix if the archive is compressed as a whole.
fn default_output(plans: &[Plan], options: Options) -> PathBuf {
    let suffix = if options.format == Format::Docker { options.compression.suffix() } else { "" };
    let name = plans.first().map_or("image", |plan| plan.recipe().name.base_name());
    format!("{name}.tar{suffix}").into()
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
