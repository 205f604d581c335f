//! `seatrial export`: writes the file system of an image as one tar.

use std::path::PathBuf;

use super::args::{ImageArgs, thread_count};
use super::output::write_archive;
use super::overwrite::OutputCheck;
use super::progress::BuildProgress;
use crate::archive::FileSystem;
use crate::text;

/// Writes the file system of an image as one tar, as a container would see it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The tar is sorted by path, with owners, permissions, times, extended attributes,
hard links and devices as in the layers. Every digest is checked first.

Examples:
  seatrial export app.tar -o rootfs.tar
  seatrial export app.tar | tar -x -C rootfs
  seatrial export docker://debian:12 | tar -xO etc/debian_version")]
pub(super) struct Args {
    #[command(flatten)]
    image: ImageArgs,

    /// File to write; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut outputs = OutputCheck::default();
    outputs.add_argument(&args.image.image);
    outputs.add_output(&args.output, "--output")?;
    let image = args.image.open()?.fetched()?;
    write_archive(&args.output, |output| {
        let files = FileSystem::read(&image, thread_count(None))?;
        let progress = BuildProgress::start(&text::path(files.image()));
        files.write(output, &mut |bytes| progress.add(bytes))
    })
}
