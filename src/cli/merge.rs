//! `seatrial merge`: combines images in one archive.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;

use super::args::{AccessArgs, LimitArgs, thread_count};
use super::exit::UsageError;
use super::output::{is_stdout, results, write_archive};
use super::overwrite::OutputCheck;
use super::streams::{is_quiet, pretty_json};
use crate::archive::merge::{MergeFormat, MergeOptions, Merged, merge_inputs};
use crate::image::Platform;
use crate::text;

/// Combines the images of several archives in one, with each layer stored once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Images and layers keep their digests. Two archives may share names if these are
the same images.

Examples:
  seatrial merge web.tar worker.tar -o all.tar
  seatrial merge web.tar layout-folder -o all.tar --format oci
  seatrial merge web.tar docker://debian:12 -o all.tar
  seatrial merge *.tar -o - | docker load")]
pub(super) struct Args {
    /// Docker-archives (plain, gzip, zstd, xz) or OCI layouts (folders or tars), of
    /// which all images are taken, and docker://REFERENCE
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,

    /// File to write; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Docker-archive, or OCI layout in a tar
    #[arg(long, value_enum, default_value_t = FormatArg::Docker)]
    format: FormatArg,

    /// Platform of the images in a docker-archive [default: any, and the host's of
    /// images for several]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,

    /// Describe the images as one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    access: AccessArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    Docker,
    Oci,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let format = match (args.format, &args.platform) {
        (FormatArg::Docker, platform) => MergeFormat::Docker(platform.clone()),
        (FormatArg::Oci, None) => MergeFormat::Oci,
        (FormatArg::Oci, Some(_)) => {
            let problem = "--platform is for docker-archives; an OCI layout keeps all platforms";
            return Err(UsageError(problem).into());
        }
    };
    let options =
        MergeOptions { format, limits: args.limits.limits(), threads: thread_count(None) };
    let mut outputs = OutputCheck::default();
    args.images.iter().for_each(|image| outputs.add_argument(image));
    outputs.add_output(&args.output, "--output")?;
    let access = args.access.access();
    let inputs = args.images.iter().map(|image| access.merge_input(image, &options.format));
    let inputs = inputs.collect::<anyhow::Result<Vec<_>>>()?;
    let mut merged = Merged::default();
    write_archive(&args.output, |output| {
        merged = merge_inputs(inputs, &options, output)?;
        Ok(())
    })?;
    print(&merged, args, &mut results(is_stdout(&args.output)))
}

fn print(merged: &Merged, args: &Args, output: &mut dyn Write) -> anyhow::Result<()> {
    if args.json {
        writeln!(output, "{}", pretty_json(merged)?)?;
        return Ok(());
    }
    if is_quiet() {
        return Ok(());
    }
    let target = if is_stdout(&args.output) {
        "to standard output".to_owned()
    } else {
        text::path(&args.output)
    };
    writeln!(output, "wrote {target}")?;
    for image in &merged.images {
        let names = match image.references.is_empty() {
            true => "none".to_owned(),
            false => text::list(&image.references),
        };
        let platform = text::shorten(&image.platform);
        writeln!(output, "  {:<12}{names} ({platform})", "image")?;
        writeln!(output, "  {:<12}{}", "id", image.id)?;
    }
    let shared = match merged.shared_layers {
        0 => String::new(),
        shared => format!(", {shared} more are the same as others"),
    };
    writeln!(output, "  {:<12}{} stored{shared}", "layers", merged.layers)?;
    Ok(())
}
