//! `seatrial pull`: writes an image of a registry into an archive.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::args::{FormatArg, LimitArgs, RegistryArgs, thread_count};
use super::exit::UsageError;
use super::progress::BuildProgress;
use super::streams::{is_quiet, pretty_json, stdout};
use super::summary;
use crate::archive::docker;
use crate::archive::oci::{self, LayoutTar};
use crate::archive::verify::VerifiedLayer;
use crate::files::output::OutputFile;
use crate::files::output::is_stream;
use crate::image::reference::familiar;
use crate::image::{Digest, Name, Platform, Reference, RemoteReference, Summary, Tag};
use crate::registry::{Registries, RemoteImage};
use crate::text;

/// Writes an image of a registry into an archive
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial pull debian:12 -o debian.tar
  seatrial pull registry.example/my/app:1.0 -o app.tar --format oci
  seatrial pull localhost:5000/app@sha256:0f3a... --platform linux/arm64 -o app.tar
  seatrial pull registry.example/my/app:1.0 --name app --tag tested -o app.tar")]
pub(super) struct Args {
    /// Image: `[registry/]repository[:tag][@digest]`
    #[arg(value_name = "REFERENCE", value_parser = source)]
    reference: RemoteReference,

    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Docker-archive, OCI layout in a tar, or dual: both in one tar
    #[arg(long, value_enum, default_value_t = FormatArg::Docker)]
    format: FormatArg,

    /// Select one of several platforms [default: the host's]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,

    /// Name of the image in the archive [default: the reference's]
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,

    /// Tag of the image in the archive [default: the reference's, or latest]
    #[arg(long, value_name = "TAG")]
    tag: Option<Tag>,

    /// Do not keep blobs in the cache
    #[arg(long)]
    no_cache: bool,

    /// Describe the image as one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    limits: LimitArgs,
}

/// The prefixes of images in other places than registries.
const OTHER_PLACES: [&str; 4] = ["oci:", "oci-archive:", "docker-archive:", "docker-daemon:"];

/// Parses a reference, with `docker://` before it or without. `copy` has the arguments with which
/// `seatrial copy` does the same for images in other places.
pub(super) fn parse_reference(text: &str, copy: &str) -> Result<RemoteReference, String> {
    if OTHER_PLACES.iter().any(|prefix| text.starts_with(prefix)) {
        return Err(format!("it is not an image in a registry; use seatrial copy {copy}"));
    }
    let reference = text.strip_prefix("docker://").unwrap_or(text);
    reference.parse().map_err(|error: crate::image::RemoteReferenceError| error.to_string())
}

/// Parses the reference of an image to pull.
fn source(text: &str) -> Result<RemoteReference, String> {
    parse_reference(text, &format!("{text} docker-archive:FILE"))
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.output == Path::new("-") || is_stream(&args.output) {
        return Err(UsageError("pull writes a file; name one with -o FILE").into());
    }
    let registries = args.registry.registries(!args.no_cache)?;
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let image = registries.open(&args.reference, &platform, args.limits.limits())?;
    image.image.check_platform(args.platform.as_ref())?;
    let file = OutputFile::beside(&args.output)?;
    let layers = verified_layers(&registries, &image)?;
    let sizes: Vec<u64> = layers.iter().map(|layer| layer.size).collect();
    let name = name(args)?;
    let output = file.file();
    let named = |error: crate::archive::ArchiveError| error.writing_to_file(&args.output);
    match args.format {
        FormatArg::Docker => {
            let mut output = BufWriter::new(output);
            docker::repack(&image.image, &sizes, &name, 0, &mut output).map_err(named)?;
            output.flush()?;
        }
        FormatArg::Dual => {
            oci::repack_dual(&image.image, &sizes, &name, &platform, output).map_err(named)?;
        }
        FormatArg::Oci => {
            let layout = LayoutTar::begin(BufWriter::new(output)).map_err(named)?;
            image.write_layout(layout, Some(&name)).map_err(named)?;
        }
    }
    file.persist()?;
    print(args, &image, &sizes, &name)
}

/// Fetches the layers of `image` that are not cached, and verifies all of them.
pub(super) fn verified_layers(
    registries: &Registries,
    image: &RemoteImage,
) -> anyhow::Result<Vec<VerifiedLayer>> {
    let progress = BuildProgress::start(&image.reference().to_string());
    let count = |bytes| progress.add(bytes);
    Ok(registries.verified_layers(image, &image.image, thread_count(None), &count)?)
}

/// The name of the image in the archive. Docker needs a tag; without one, it is `latest`.
fn name(args: &Args) -> anyhow::Result<Reference> {
    let pulled = &args.reference;
    let name = match &args.name {
        Some(name) => name.to_string(),
        None => familiar(&pulled.name()).to_string(),
    };
    let tag = args.tag.as_ref().or(pulled.tag.as_ref());
    Ok(format!("{name}:{}", tag.map_or("latest", Tag::as_str)).parse()?)
}

fn print(args: &Args, image: &RemoteImage, sizes: &[u64], name: &Reference) -> anyhow::Result<()> {
    let blobs: Vec<Option<Digest>> = image.image.layers.iter().map(|layer| layer.digest).collect();
    // The name in the archive, not the one in the registry.
    let references = [name.to_string()];
    let summary = Summary::new(&image.image.config, image.image.id(), &references, sizes, &blobs);
    if args.json {
        writeln!(stdout(), "{}", pretty_json(&summary)?)?;
        return Ok(());
    }
    if is_quiet() {
        return Ok(());
    }
    let mut output = stdout();
    writeln!(output, "wrote {}", text::path(&args.output))?;
    writeln!(output, "  {:<12}{}", "from", args.reference.at(image.digest))?;
    write!(output, "{}", summary::render(&summary))?;
    Ok(())
}
