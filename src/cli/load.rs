//! `seatrial load`: loads an image into an engine.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;

use super::args::{RecipeArgs, SourceArgs, seconds};
use super::daemon::connect;
use super::exit::UsageError;
use super::images::{Opened, location};
use super::progress::StatusLine;
use super::runtime::block_on;
use super::streams::{is_quiet, json, stdout};
use crate::archive::{Image, ImageSelector};
use crate::image::{Platform, Reference};
use crate::load::{Loaded, Options, Source, load};
use crate::text;

/// Loads an image into a running daemon, sending only layers that are missing there
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial load app.toml   # into the daemon that DOCKER_HOST names
  seatrial load app.tar --host unix:///run/docker.sock
  seatrial load docker://registry.example/my/app:1.0
  eval \"$(seatrial vm up docker-20.10)\"; seatrial load app.toml

The daemon's address is found as by the docker command: DOCKER_HOST, else the
context in DOCKER_CONTEXT, else the current context of ~/.docker/config.json,
else unix:///var/run/docker.sock. If DOCKER_TLS_VERIFY is set, the connection
uses TLS with the client certificate in DOCKER_CERT_PATH or ~/.docker.")]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Daemon: unix:///PATH or tcp://HOST:PORT [default: see below]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Select one of several platforms, or set that of a recipe without `platforms`
    /// [default: the daemon's]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Name for an image that has none, or select one of several images
    #[arg(long, value_name = "NAME:TAG")]
    reference: Option<Reference>,
    /// Send every layer, even those that the daemon has
    #[arg(long)]
    whole: bool,
    /// Time limit for the daemon to load the image
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    #[arg(value_parser = seconds(0))]
    timeout: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let naming = "--name and --tag are only for recipes; use --reference";
    let recipe = args.source.recipe(naming)?;
    if recipe.is_some() && args.reference.is_some() {
        return Err(UsageError(
            "--reference is only for images; for a recipe, use --name and --tag",
        )
        .into());
    }
    let options = Options {
        threads: args.source.build.threads(),
        cache: args.source.build.cache(),
        whole: args.whole,
        timeout: Duration::from_secs(args.timeout),
    };
    let line = StatusLine::new();
    line.set(format!("loading {}", text::path(&args.source.source)));
    let loaded = block_on(async {
        let (engine, platform) = connect(args.host.as_deref(), true).await?;
        Ok(load(&engine, source(args, recipe.as_ref(), &platform)?, options).await?)
    });
    drop(line);
    print(&loaded?, args.json)
}

/// Returns the recipe or image to load; of several platforms, the selected one, or the one for
/// `daemon`, the daemon's platform.
fn source(args: &Args, recipe: Option<&RecipeArgs>, daemon: &Platform) -> anyhow::Result<Source> {
    let selected = args.platform.as_ref();
    if let Some(recipe) = recipe {
        return Ok(Source::Plan(Box::new(recipe.plan(selected, daemon)?)));
    }
    let image = open_image(args, selected.unwrap_or(daemon))?;
    let reference = reference(args, &image)?;
    Ok(Source::Image(Box::new(image), reference))
}

/// Opens the image that has the requested name, or else the only image, which has none.
fn open_image(args: &Args, platform: &Platform) -> anyhow::Result<Image> {
    let location = location(&args.source.source)?;
    let platform = Some(platform.clone());
    let limits = args.source.build.limits();
    let any = ImageSelector { platform, limits, ..ImageSelector::default() };
    let access = args.source.build.access();
    let is_file = location.path().is_some() && location.name_in_file().is_none();
    let Some(reference) = args.reference.as_ref().filter(|_| is_file) else {
        return selected(args, access.open_location(&location, &any)?);
    };
    let (name, tag) = (Some(reference.name.to_string()), Some(reference.tag.to_string()));
    let named = access.open_location(&location, &ImageSelector { name, tag, ..any.clone() });
    let opened = named.or_else(|error| access.open_location(&location, &any).map_err(|_| error));
    selected(args, opened?)
}

/// Fetches an image that was opened, if it is for the platform that the user selected.
fn selected(args: &Args, opened: Opened) -> anyhow::Result<Image> {
    opened.image.check_platform(args.platform.as_ref())?;
    opened.fetched()
}

/// Returns the requested reference, or the image's own.
fn reference(args: &Args, image: &Image) -> anyhow::Result<Reference> {
    match (&args.reference, image.references.first()) {
        (Some(reference), _) => Ok(reference.clone()),
        (None, Some(first)) => first.parse().with_context(|| {
            let (path, first) = (text::path(&args.source.source), text::quote(first));
            format!("{path} has an invalid image reference {first}; use --reference NAME:TAG")
        }),
        (None, None) => {
            Err(UsageError("the image has no name; give one with --reference NAME:TAG").into())
        }
    }
}

fn print(loaded: &Loaded, as_json: bool) -> anyhow::Result<()> {
    let mut output = stdout();
    if as_json {
        writeln!(output, "{}", json(loaded)?)?;
        return Ok(());
    }
    if is_quiet() {
        return Ok(());
    }
    let Loaded { reference, id, layers, sent, bytes, whole_because } = loaded;
    let size = indicatif::HumanBytes(*bytes);
    let sent = match sent {
        0 => format!("no layers sent, {size} of metadata"),
        sent => format!("sent {sent} of {layers} layers, {size}"),
    };
    writeln!(output, "loaded {reference} ({id})\n{sent}")?;
    if let Some(reason) = whole_because {
        writeln!(output, "sent all layers because {reason}")?;
    }
    Ok(())
}
