//! `seatrial push`: builds a recipe's image, or takes an image, and sends it to registries.

use std::io::Write;
use std::sync::Arc;

use anyhow::bail;
use serde_json::json;

use super::args::{CompressArg, RecipeArgs, SourceArgs};
use super::exit::UsageError;
use super::images::location;
use super::output::{only_streams, prepare_and_note};
use super::progress::BuildProgress;
use super::pull::parse_reference;
use super::sbom::FormatArg;
use super::streams::{messages, pretty_json, stdout};
use crate::build::{self, Overrides, Recipe};
use crate::copy::{self, CopyOptions, Progress};
use crate::image::{Platform, Reference, RemoteReference, Tag};
use crate::registry::{MediaTypes, PushOptions, PushReport};
use crate::text;

/// Builds a recipe's image, or takes an image, and sends it to registries
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial push app.toml                       # to the recipe's name and tag
  seatrial push app.toml registry.example/my/app:1.0
  seatrial push oci:layout registry.example/my/app:1.0
  seatrial push app.toml localhost:5000/app:1 --compress zstd
  seatrial push app.toml --dry-run             # says what would be sent
  seatrial push app.toml --sbom spdx           # with a bill of materials
  cosign sign --yes $(seatrial push app.toml)     # and a signature

Only blobs that the registry does not have are sent. Layers are compressed once
and kept in the cache. Tags are set when everything else is there.")]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// Where to push to: `[registry/]repository[:tag]` [default: name and tags of
    /// the recipe or image]
    #[arg(index = 2, value_name = "REFERENCE", value_parser = target)]
    references: Vec<RemoteReference>,

    /// Compression of layers that are not compressed yet
    #[arg(long, value_name = "METHOD", value_enum, default_value_t = CompressArg::Gzip)]
    compress: CompressArg,

    /// Media types: OCI's, or Docker's for registries that know no others
    #[arg(long, value_name = "TYPES", value_enum)]
    media_types: Option<TypesArg>,

    /// Attach a bill of materials: SPDX 2.3 or CycloneDX 1.5, as JSON
    #[arg(long, value_name = "FORMAT", value_enum)]
    sbom: Option<FormatArg>,

    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,

    /// Send only the image for this platform, or set the platform of a recipe without
    /// `platforms`; of a recipe, may be repeated [default: all]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Parses a reference to push to.
fn target(text: &str) -> Result<RemoteReference, String> {
    parse_reference(text, &format!("SOURCE {text}"))
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum TypesArg {
    Oci,
    Docker,
}

impl Args {
    fn options(&self) -> PushOptions {
        PushOptions {
            compression: self.compress.into(),
            media_types: match self.media_types {
                None | Some(TypesArg::Oci) => MediaTypes::Oci,
                Some(TypesArg::Docker) => MediaTypes::Docker,
            },
            dry_run: self.dry_run,
            threads: self.source.build.threads(),
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let naming = "--name and --tag are only for recipes; name a REFERENCE";
    let report = match args.source.recipe(naming)? {
        Some(recipe) => push_recipe(args, &recipe)?,
        None => push_image(args)?,
    };
    print(args, &report)
}

fn push_recipe(args: &Args, recipe: &RecipeArgs) -> anyhow::Result<PushReport> {
    check_overrides(&args.references, &recipe.build.overrides())?;
    let cache = recipe.build.cache();
    let recipes = recipe.read_all(&args.platform)?;
    let targets = match &*args.references {
        [] => recipes.iter().filter_map(own_target).collect(),
        given => given.to_vec(),
    };
    let access = recipe.build.access_for(&targets);
    let access = if args.dry_run { access.reading() } else { access };
    let outputs = only_streams();
    let plan = |parsed| recipe.build.plan_recipe(parsed, &access, &outputs);
    let plans = recipes.into_iter().map(plan).collect::<anyhow::Result<Vec<_>>>()?;
    let references = match (&*args.references, plans.first()) {
        ([], Some(plan)) => {
            let own = build::references(plan, recipe.build.threads(), cache)?;
            own.iter().map(RemoteReference::from).collect()
        }
        (given, _) => given.to_vec(),
    };
    let (sbom, options) = (args.sbom.map(Into::into), args.options());
    let registries = access.registries()?;
    let (_, report) = prepare_and_note(&plans, recipe.build.threads(), cache, |progress| {
        build::push(registries, &plans, &references, options, sbom, cache, progress)
    })?;
    Ok(report)
}

/// Checks that `--name` and `--tag` are not given in addition to references, which replace them.
fn check_overrides(references: &[RemoteReference], given: &Overrides) -> anyhow::Result<()> {
    let [first, ..] = references else { return Ok(()) };
    if *given == Overrides::default() {
        return Ok(());
    }
    let tagged = |tag: &Tag| {
        let mut reference = first.clone();
        (reference.tag, reference.digest) = (Some(tag.clone()), None);
        reference.to_string()
    };
    let written = match &*given.tags {
        [] => first.to_string(),
        tags => tags.iter().map(tagged).collect::<Vec<_>>().join(" "),
    };
    bail!("--name and --tag do not apply to a REFERENCE; write {written}")
}

/// The repository that the recipe names. Its tag may only be known when the image is.
fn own_target(recipe: &Recipe) -> Option<RemoteReference> {
    let tag = "latest".parse().ok()?;
    Some(RemoteReference::from(&Reference { name: recipe.name.clone(), tag }))
}

fn push_image(args: &Args) -> anyhow::Result<PushReport> {
    let access = args.source.build.access_for(&args.references);
    let platform = match &*args.platform {
        [] => None,
        [platform] => Some(platform),
        _ => return Err(UsageError("of an image, --platform selects one platform").into()),
    };
    let source =
        access.source(&location(&args.source.source)?, platform, args.source.build.limits())?;
    let references = match (&*args.references, source.own_reference()) {
        ([], Some(own)) => vec![RemoteReference::from(&own)],
        ([], None) => {
            return Err(UsageError("the image has no name; say where to push it to").into());
        }
        (given, _) => given.to_vec(),
    };
    let bar = BuildProgress::start(&text::path(&args.source.source));
    let options = CopyOptions {
        platform: platform.cloned(),
        threads: args.source.build.threads(),
        push: args.options(),
        cache: args.source.build.cache(),
    };
    let progress: Progress = Arc::new(move |bytes| bar.add(bytes));
    // Other media types need other manifests.
    let keep = args.media_types.is_none();
    let (registries, sbom) = (access.registries()?, args.sbom.map(Into::into));
    Ok(copy::push(source, registries, &references, keep, sbom, &options, progress)?)
}

fn print(args: &Args, report: &PushReport) -> anyhow::Result<()> {
    let mut output = stdout();
    if args.json {
        writeln!(output, "{}", pretty_json(&json!(report))?)?;
        return Ok(());
    }
    for pushed in &report.pushed {
        // Scripts read it, so it is never shortened.
        writeln!(output, "{}", text::escape(&pushed.reference))?;
        let verb = if report.dry_run { "would send" } else { "sent" };
        let size = indicatif::HumanBytes(pushed.sent_bytes);
        let summary = format!(
            "{}: {verb} {} {} ({size}), {} mounted, {} already there",
            pushed.tags.join(", "),
            pushed.sent,
            if pushed.sent == 1 { "blob" } else { "blobs" },
            pushed.mounted,
            pushed.present
        );
        writeln!(messages(), "{summary}")?;
    }
    for attached in &report.attached {
        let verb = if report.dry_run { "would attach" } else { "attached" };
        let (kind, digest) = (&attached.artifact_type, attached.digest);
        writeln!(messages(), "{verb} {kind} {digest} to {}", attached.subject)?;
    }
    for note in &report.notes {
        writeln!(messages(), "note: {note}")?;
    }
    if !report.dry_run && !report.pushed.is_empty() {
        let names: Vec<_> =
            report.pushed.iter().map(|pushed| text::escape(&pushed.reference)).collect();
        writeln!(messages(), "to sign: cosign sign --yes {}", names.join(" "))?;
    }
    Ok(())
}
