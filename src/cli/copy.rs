//! `seatrial copy`: copies an image from one place to another.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use serde::Serialize;

use super::args::{LimitArgs, RegistryArgs, SideArgs, thread_count};
use super::exit::UsageError;
use super::images::{Access, location};
use super::overwrite::OutputCheck;
use super::progress::BuildProgress;
use super::streams::{is_quiet, messages, pretty_json, stdout};
use crate::archive::Compression;
use crate::build::CacheUse;
use crate::copy::{self, Copied, CopyOptions, Progress, Source};
use crate::image::{Location, Platform, Reference};
use crate::registry::{MediaTypes, PushOptions};
use crate::text;

/// Copies an image between archives, OCI layouts, registries and a daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "\
SOURCE and DESTINATION:
  docker://REFERENCE               an image in a registry
  oci:FOLDER[:TAG]                 an OCI layout; a destination may be new
  oci-archive:FILE[:TAG]           an OCI layout in a tar
  docker-archive:FILE[:NAME:TAG]   an archive as docker save writes it
  docker-daemon:NAME:TAG           an image in a daemon (see DOCKER_HOST)
  PATH                             a source: archive or layout in any format

All platforms are copied, byte for byte: digests stay the same. A docker-archive
and a daemon have one platform and no manifests.

Examples:
  seatrial copy docker://debian:12 docker://registry.example/debian:12
  seatrial copy docker://debian:12 oci:layout:12 --platform linux/arm64
  seatrial copy oci:layout:12 docker-archive:debian.tar:debian:12
  seatrial copy docker-daemon:my/app:1.0 docker://registry.example/my/app:1.0
  SEATRIAL_DEST_PASSWORD=... seatrial copy app.tar docker://registry.example/app:1 \
    --dest-creds robot")]
pub(super) struct Args {
    /// The image to copy
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// Where to copy it to
    #[arg(value_name = "DESTINATION")]
    destination: PathBuf,

    /// Copy one of several platforms [default: all; the host's if the destination
    /// can have only one]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,

    /// Say what a registry would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not keep blobs in the cache
    #[arg(long)]
    no_cache: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    sides: SideArgs,

    #[command(flatten)]
    limits: LimitArgs,
}

impl Args {
    fn options(&self) -> CopyOptions {
        let threads = thread_count(None);
        let push = PushOptions {
            compression: Compression::Gzip,
            media_types: MediaTypes::Oci,
            dry_run: self.dry_run,
            threads,
        };
        let cache = if self.no_cache { CacheUse::Off } else { CacheUse::On };
        CopyOptions { platform: self.platform.clone(), threads, push, cache }
    }
}

/// The output of `--json`.
#[derive(Serialize)]
struct Printed<'a> {
    source: String,
    destination: String,
    dry_run: bool,
    #[serde(flatten)]
    copied: &'a Copied,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let (from, to) = (location(&args.source)?, location(&args.destination)?);
    if let Some(path) = to.path() {
        check_target(&to, path)?;
        check_replaces_nothing(&from, &to)?;
    }
    if args.dry_run && !matches!(to, Location::Registry(_)) {
        return Err(UsageError("--dry-run is only for copies to registries").into());
    }
    let cache = !args.no_cache;
    let [from_access, to_access] = [args.sides.source(&from)?, args.sides.destination(&to)?]
        .map(|login| Access::for_side(&args.registry, login, cache));
    let source = from_access.source(&from, args.platform.as_ref(), args.limits.limits())?;
    let options = args.options();
    let bar = BuildProgress::start(&from.to_string());
    let progress: Progress = Arc::new(move |bytes| bar.add(bytes));
    let copied = match &to {
        Location::Registry(reference) => {
            copy::to_registry(source, to_access.registries()?, reference, &options, progress)?
        }
        Location::OciFolder(target) => copy::to_folder(&source, target, &options, &progress)?,
        Location::OciArchive(target) => copy::to_oci_archive(&source, target, &options, &progress)?,
        Location::DockerArchive(target) => copy::to_docker_archive(&source, target, &options)?,
        Location::Daemon(reference) => to_daemon(&source, reference, &options)?,
        Location::Path(_) => Copied::default(),
    };
    let (source, destination, dry_run) = (from.to_string(), to.to_string(), args.dry_run);
    print(args, &Printed { source, destination, dry_run, copied: &copied })
}

/// Checks that an archive does not replace the source. A folder may be both: images are added.
fn check_replaces_nothing(from: &Location, to: &Location) -> anyhow::Result<()> {
    let mut outputs = OutputCheck::default();
    if let Location::DockerArchive(place) | Location::OciArchive(place) = to {
        outputs.add_location(Some(from), "the source");
        outputs.add_output(&place.path, "DESTINATION")?;
    }
    Ok(())
}

/// Checks that the format of a destination in a file or folder is known, and that the file can
/// appear complete or not at all.
fn check_target(to: &Location, path: &std::path::Path) -> anyhow::Result<()> {
    let shown = text::path(path);
    if matches!(to, Location::Path(_)) {
        bail!(
            "the destination {shown} has no format; write docker-archive:{shown}, oci:{shown} or \
             oci-archive:{shown}, or docker://REFERENCE for a registry"
        );
    }
    if copy::is_stream(path) {
        bail!("{to}: copy writes a file or folder, not a pipe or device");
    }
    Ok(())
}

#[cfg(feature = "vm")]
fn to_daemon(
    source: &Source,
    reference: &Reference,
    options: &CopyOptions,
) -> anyhow::Result<Copied> {
    use crate::load::{Options, Source as Loadable, load};
    let (image, _, mut notes) = copy::single_image(source, options, "a daemon")?;
    let load_options = Options {
        threads: options.threads,
        cache: options.cache,
        whole: false,
        timeout: std::time::Duration::from_secs(3600),
    };
    let platform = crate::image::manifest::OciPlatform::from(&image.config).to_string();
    let loaded = super::runtime::block_on(async {
        let (engine, _) = super::daemon::connect(None, false).await?;
        let source = Loadable::Image(Box::new(image), reference.clone());
        Ok(load(&engine, source, load_options).await?)
    })?;
    notes.extend(loaded.whole_because.map(|reason| format!("sent all layers because {reason}")));
    Ok(Copied {
        id: Some(loaded.id),
        platforms: vec![platform],
        sent: loaded.sent as u64,
        sent_bytes: loaded.bytes,
        present: (loaded.layers - loaded.sent) as u64,
        notes,
        ..Copied::default()
    })
}

#[cfg(not(feature = "vm"))]
fn to_daemon(_: &Source, reference: &Reference, _: &CopyOptions) -> anyhow::Result<Copied> {
    bail!(
        "docker-daemon:{reference}: this seatrial was built without access to daemons; build it \
         with feature vm, or copy to docker-archive:FILE and load that: docker load -i FILE"
    );
}

fn print(args: &Args, printed: &Printed<'_>) -> anyhow::Result<()> {
    let mut output = stdout();
    let copied = printed.copied;
    if args.json {
        writeln!(output, "{}", pretty_json(printed)?)?;
        return Ok(());
    }
    // What a dry run would do is its result.
    if is_quiet() && !args.dry_run {
        return Ok(());
    }
    let verb = if args.dry_run { "would copy" } else { "copied" };
    writeln!(output, "{verb} to {}", text::shorten(&printed.destination))?;
    for (label, digest) in [("digest", copied.digest), ("id", copied.id)] {
        if let Some(digest) = digest {
            writeln!(output, "  {label:<12}{digest}")?;
        }
    }
    if !copied.platforms.is_empty() {
        writeln!(output, "  {:<12}{}", "platforms", text::list(&copied.platforms))?;
    }
    let size = indicatif::HumanBytes(copied.sent_bytes);
    let (sent, present) = (copied.sent, copied.present);
    let mounted = match copied.mounted {
        0 => String::new(),
        mounted => format!(", {mounted} mounted"),
    };
    let done = if args.dry_run { "to copy" } else { "copied" };
    let sent = match sent {
        // The manifest and the config.
        0 if copied.sent_bytes > 0 => format!("no layers {done}, {size} of metadata"),
        0 => format!("none {done}"),
        _ => format!("{sent} {done} ({size})"),
    };
    let blobs = format!("{sent}{mounted}, {present} already there");
    writeln!(output, "  {:<12}{blobs}", "blobs")?;
    for note in &copied.notes {
        // The copy is complete, whether this can be printed or not.
        let _ = writeln!(messages(), "note: {}", text::excerpt(note));
    }
    Ok(())
}
