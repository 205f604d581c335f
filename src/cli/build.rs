//! `seatrial build`: builds a recipe's image into an archive.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use super::args::RecipeArgs;
use super::output::{
    STDOUT, is_stdout, refuse_terminal, stdout_metadata, write_to_file, write_to_stream,
};
use super::streams::{is_quiet, pretty_json, raw_stdout, stderr, stdout};
use super::summary;
use crate::archive::Compression;
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
  seatrial build app.toml -o - | docker load")]
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

    /// Describe the image as one JSON object
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

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let options = args.options();
    let to_stdout = args.output.as_deref().is_some_and(is_stdout);
    if to_stdout {
        refuse_terminal(
            "failed to write the archive: standard output is a terminal; redirect it, or use \
             -o FILE",
        )?;
    }
    let mut plans = args.recipe.plan_all()?;
    if to_stdout {
        let summaries = {
            let file = stdout_metadata();
            let output = &mut raw_stdout().lock();
            write_to_stream(&mut plans, file.as_ref(), options, output, STDOUT)?
        };
        return print(&summaries, STDOUT, args.json, &mut stderr());
    }
    let path = args.output.unwrap_or_else(|| default_output(&plans, options));
    let target = text::path(&path);
    let summaries = if is_stream(&path) {
        let mut stream = open_stream(&path)?;
        let file = stream.metadata().ok();
        write_to_stream(&mut plans, file.as_ref(), options, &mut stream, &target)?
    } else {
        write_to_file(&mut plans, options, &path)?
    };
    print(&summaries, &target, args.json, &mut stdout())
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
