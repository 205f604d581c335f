//! `seatrial build`: a recipe becomes an archive.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::exit::Usage;
use super::progress::Progress;
use super::{RecipeArgs, summary};
use crate::archive::Compression;
use crate::build::assemble::Output;
use crate::build::output::{OutputFile, is_stream, open_stream};
use crate::build::{Format, Options, Plan, assemble};
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
        return Err(
            Usage("an archive does not go to a terminal; redirect standard output, or use -o FILE").into()
        );
    }
    let plan = args.recipe.plan()?;
    if to_stdout {
        let summary = to_stream(&plan, options, &mut io::stdout().lock(), STDOUT)?;
        return tell(&summary, STDOUT, args.json, &mut io::stderr());
    }
    let target = args.output.unwrap_or_else(|| default_target(&plan, options));
    let shown = target.display().to_string();
    let summary = if is_stream(&target) {
        to_stream(&plan, options, &mut open_stream(&target)?, &shown)?
    } else {
        to_file(&plan, options, &target)?
    };
    tell(&summary, &shown, args.json, &mut io::stdout())
}

/// Builds into `stream`, with a progress line.
pub(super) fn to_stream(
    plan: &Plan,
    options: Options,
    stream: &mut dyn Write,
    target: &str,
) -> anyhow::Result<Summary> {
    let progress = Progress::start(plan.recipe().name.as_str());
    let summary = assemble(plan, options, Output::Stream(stream), &mut |bytes| progress.add(bytes));
    Ok(summary.map_err(|error| error.writing_to(target))?)
}

fn to_file(plan: &Plan, options: Options, target: &Path) -> anyhow::Result<Summary> {
    let progress = Progress::start(plan.recipe().name.as_str());
    let output = OutputFile::beside(target)?;
    let summary = assemble(plan, options, Output::File(output.file()), &mut |bytes| progress.add(bytes));
    let summary = summary.map_err(|error| error.writing_to(target.display().to_string()))?;
    output.persist()?;
    Ok(summary)
}

/// Only a docker-archive is compressed as a whole.
fn default_target(plan: &Plan, options: Options) -> PathBuf {
    let suffix = if options.format == Format::Docker { options.compression.suffix() } else { "" };
    format!("{}.tar{suffix}", plan.recipe().name.base_name()).into()
}

fn tell(summary: &Summary, target: &str, json: bool, output: &mut dyn Write) -> anyhow::Result<()> {
    if json {
        writeln!(output, "{}", serde_json::to_string_pretty(summary)?)?;
    } else {
        write!(output, "wrote {target}\n{}", summary::draw(summary))?;
    }
    Ok(())
}
