//! `seatrial load`: an image into an engine.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::exit::Usage;
use super::vm::{block_on, prepare};
use super::{RecipeArgs, is_recipe};
use crate::archive::{ImageSelector, open};
use crate::engine::Docker;
use crate::image::platform::Arch;
use crate::image::{Platform, Reference};
use crate::load::{Loaded, Options, Source, load};

/// Loads an image into a Docker daemon, sending only the layers that it lacks
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial load app.toml                      into the daemon of DOCKER_HOST
  seatrial load app.tar --host unix:///run/docker.sock
  eval \"$(seatrial vm up docker-20.10)\"; seatrial load app.toml

The daemon is found as the docker program finds it: DOCKER_HOST, else
unix:///var/run/docker.sock; with DOCKER_TLS_VERIFY, over TLS with the keys in
DOCKER_CERT_PATH.")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// The daemon: unix:///PATH or tcp://HOST:PORT
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The name and tag of an image that has none, or of one among several
    #[arg(long, value_name = "NAME:TAG")]
    reference: Option<Reference>,
    /// Send every layer, whatever the daemon holds
    #[arg(long)]
    whole: bool,
    /// How long the daemon may take to load it, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    timeout: u64,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let options = Options {
        threads: args.recipe.threads(),
        cache: args.recipe.cache(),
        whole: args.whole,
        limit: Duration::from_secs(args.timeout),
    };
    let line = prepare::line(&format!("loading {}", args.recipe.recipe.display()));
    let loaded = block_on(async {
        let engine = engine(args)?.negotiate_version().await?;
        let source =
            source(args, engine.architecture().await?.unwrap_or_else(|| Platform::host().arch))?;
        Ok(load(&engine, source, options).await?)
    });
    line.finish_and_clear();
    tell(&loaded?, args.json)
}

/// What is to be loaded: of several images, that for `arch`.
fn source(args: &Args, arch: Arch) -> anyhow::Result<Source> {
    let path = &args.recipe.recipe;
    if is_recipe(path) {
        if args.reference.is_some() {
            return Err(Usage("--reference is for archives; a recipe says its name itself").into());
        }
        return Ok(Source::Plan(Box::new(args.recipe.plan(arch)?)));
    }
    let mut choice = ImageSelector {
        platform: Some(Platform { arch, variant: None }),
        ..ImageSelector::default()
    };
    if let Some(reference) = &args.reference {
        choice.name = Some(reference.name.to_string());
        choice.tag = Some(reference.tag.to_string());
    }
    // One that has no name is called as was asked; one that has is picked by it.
    let named = open(path, &choice).or_else(|error| match &args.reference {
        Some(_) => open(path, &ImageSelector { name: None, tag: None, ..choice.clone() })
            .map_err(|_| error),
        None => Err(error),
    })?;
    let reference = match (&args.reference, named.references.first()) {
        (Some(reference), _) => reference.clone(),
        (None, Some(first)) => {
            first.parse().with_context(|| format!("{} names its image {first}", path.display()))?
        }
        (None, None) => {
            return Err(
                Usage("the image has no name; give it one with --reference NAME:TAG").into()
            );
        }
    };
    Ok(Source::Image(Box::new(named), reference))
}

fn engine(args: &Args) -> anyhow::Result<Docker> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let host = args.host.clone().or_else(|| set("DOCKER_HOST"));
    let host = host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let keys = set("DOCKER_TLS_VERIFY").and_then(|_| set("DOCKER_CERT_PATH")).map(PathBuf::from);
    Ok(Docker::from_host(&host, keys.as_deref())?)
}

fn tell(loaded: &Loaded, json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout();
    if json {
        writeln!(out, "{}", serde_json::to_string(loaded)?)?;
        return Ok(());
    }
    let Loaded { reference, id, layers, sent, bytes, whole_because } = loaded;
    writeln!(
        out,
        "loaded {reference} ({id})\nsent {sent} of {layers} layers, {}",
        indicatif::HumanBytes(*bytes)
    )?;
    if let Some(because) = whole_because {
        writeln!(out, "everything was sent, because: {because}")?;
    }
    Ok(())
}
