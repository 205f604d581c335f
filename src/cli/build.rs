//! `seatrial build`: a recipe becomes an archive.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::exit::Usage;
use super::progress::Progress;
use super::{RecipeArgs, summary};
use crate::archive::Compression;
use crate::build::assemble::Output;
use crate::build::output::{OutputFile, is_stream, open_stream};
use crate::build::{Format, Options, Plan, assemble_all};
use crate::image::Summary;

/// Builds the image of a recipe into an archive
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial build app.toml
  seatrial build app.toml -o app.tar.gz --compress gzip
  seatrial build app.toml --format oci --compress zstd -o app-oci.tar
  seatrial build app.toml -o - | docker load")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,

    /// Where to write; `-` for standard output [default: NAME.tar, here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// docker: docker-archive; oci: OCI layout tar; dual: one tar that is both
    #[arg(long, value_enum, default_value_t = FormatArg::Docker)]
    format: FormatArg,

    /// Compress the archive (docker) or each new layer (oci, dual)
    #[arg(long, value_enum, default_value_t = CompressArg::None)]
    compress: CompressArg,

    /// Describe the image as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Docker,
    Oci,
    Dual,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompressArg {
    None,
    Gzip,
    Zstd,
}

impl Args {
    fn options(&self) -> Options {
        let format = match self.format {
            FormatArg::Docker => Format::Docker,
            FormatArg::Oci => Format::Oci,
            FormatArg::Dual => Format::Dual,
        };
        let compression = match self.compress {
            CompressArg::None => Compression::None,
            CompressArg::Gzip => Compression::Gzip,
            CompressArg::Zstd => Compression::Zstd,
        };
        Options { format, compression, threads: self.recipe.threads(), cache: self.recipe.cache() }
    }
}

/// How messages call it.
pub(super) const STDOUT: &str = "standard output";

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let options = args.options();
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    if to_stdout && io::stdout().is_terminal() {
        return Err(Usage(
            "an archive does not go to a terminal; redirect standard output, or use -o FILE",
        )
        .into());
    }
    let plans = args.recipe.plan_all()?;
    if to_stdout {
        let summaries = to_stream(&plans, options, &mut io::stdout().lock(), STDOUT)?;
        return tell(&summaries, STDOUT, args.json, &mut io::stderr());
    }
    let target = args.output.unwrap_or_else(|| default_target(&plans, options));
    let shown = target.display().to_string();
    let summaries = if is_stream(&target) {
        to_stream(&plans, options, &mut open_stream(&target)?, &shown)?
    } else {
        to_file(&plans, options, &target)?
    };
    tell(&summaries, &shown, args.json, &mut io::stdout())
}

/// Builds into `stream`, with a progress line.
pub(super) fn to_stream(
    plans: &[Plan],
    options: Options,
    stream: &mut dyn Write,
    target: &str,
) -> anyhow::Result<Vec<Summary>> {
    let progress = Progress::start(name(plans));
    let summaries =
        assemble_all(plans, options, Output::Stream(stream), &mut |bytes| progress.add(bytes));
    Ok(summaries.map_err(|error| error.writing_to(target))?)
}

fn to_file(plans: &[Plan], options: Options, target: &Path) -> anyhow::Result<Vec<Summary>> {
    let progress = Progress::start(name(plans));
    let output = OutputFile::beside(target)?;
    let file = Output::File(output.file());
    let summaries = assemble_all(plans, options, file, &mut |bytes| progress.add(bytes));
    let summaries = summaries.map_err(|error| error.writing_to(target.display().to_string()))?;
    output.persist()?;
    Ok(summaries)
}

fn name(plans: &[Plan]) -> &str {
    plans.first().map_or("", |plan| plan.recipe().name.as_str())
}

/// Only a docker-archive is compressed as a whole.
fn default_target(plans: &[Plan], options: Options) -> PathBuf {
    let suffix = if options.format == Format::Docker { options.compression.suffix() } else { "" };
    let name = plans.first().map_or("image", |plan| plan.recipe().name.base_name());
    format!("{name}.tar{suffix}").into()
}

/// An image is one object; those of several architectures are a list of such.
fn tell(
    summaries: &[Summary],
    target: &str,
    json: bool,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    match (json, summaries) {
        (true, [summary]) => writeln!(output, "{}", serde_json::to_string_pretty(summary)?)?,
        (true, all) => {
            writeln!(output, "{}", serde_json::to_string_pretty(&json!({ "images": all }))?)?
        }
        (false, all) => {
            writeln!(output, "wrote {target}")?;
            all.iter().try_for_each(|summary| write!(output, "{}", summary::draw(summary)))?;
        }
    }
    Ok(())
}
