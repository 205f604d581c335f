//! Runs a plan: base layers, new layers, config, names, in one pass into the output.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use serde_json::Value;

use super::BuildError;
use super::cache::{Cache, CacheUse};
use super::plan::{Plan, PlannedLayer};
use crate::archive::blob_cache::CachedBlob;
use crate::archive::compress::CompressingWriter;
use crate::archive::docker::DockerWriter;
use crate::archive::oci::OciWriter;
use crate::archive::pipeline::{self, LayerCache, LayerInfo, NoCache};
use crate::archive::sink::{Discard, ImageWriter};
use crate::archive::{ArchiveError, Compression};
use crate::image::{
    DiffId, Digest, History, ImageConfig, Platform, Reference, RootFs, Summary, Tag,
};

/// What kind of archive is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A docker-archive; compressed as a whole.
    #[default]
    Docker,
    /// An OCI layout as a tar; layers are compressed one by one.
    Oci,
    /// One tar that is both; layers are compressed one by one.
    Dual,
}

/// How an image is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The kind of archive.
    pub format: Format,
    /// How it, or its layers, are compressed.
    pub compression: Compression,
    /// How many threads read, and how many compress. They do not change the result.
    pub threads: usize,
    /// How what is known from builds before is used. That does not change the result either.
    pub cache: CacheUse,
}

/// Builds `plan` into `output`. `seen` is told of every so many bytes of new layers that were made.
///
/// The formats that name blobs by digest go through a file without a name when `output` is a stream, since
/// a blob's name comes before it in the archive.
///
/// # Errors
/// When contents cannot be read, change while they are, or clash, or when the output cannot be written.
pub fn assemble(
    plan: &Plan,
    options: Options,
    output: Output<'_>,
    seen: &mut dyn FnMut(u64),
) -> Result<Summary, BuildError> {
    let Options { format, compression, threads, cache } = options;
    match (format, output) {
        (Format::Docker, output) => {
            let stream: Box<dyn Write> = match output {
                Output::Stream(stream) => Box::new(stream),
                Output::File(file) => Box::new(file),
            };
            let buffered = BufWriter::with_capacity(128 << 10, stream);
            let mut writer =
                DockerWriter::new(CompressingWriter::new(buffered, compression, threads));
            // The archive is compressed as a whole, not by layers.
            let cache = Cache::open(cache, Compression::None);
            let summary =
                write(plan, threads, cache.as_ref(), PresentLayers::default(), &mut writer, seen)?;
            writer
                .into_inner()
                .finish()
                .and_then(|mut output| output.flush())
                .map_err(write_failed)?;
            Ok(summary)
        }
        (_, Output::File(file)) => Ok(named_by_digest(&[plan], options, file, seen)?.remove(0)),
        (_, Output::Stream(stream)) => Ok(by_file(&[plan], options, stream, seen)?.remove(0)),
    }
}

/// What an image is written to.
pub enum Output<'a> {
    /// A regular file, which can be stepped back in.
    File(&'a File),
    /// Anything else.
    Stream(&'a mut dyn Write),
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::File(_)) { "File" } else { "Stream" })
    }
}

/// Builds `plans`, which differ in their platform, into one archive with an index of all. A docker-archive has no such thing;
/// one that is `dual` has the image for this machine, or the first, in its other half.
///
/// # Errors
/// As [`assemble`], and when `options` ask for a docker-archive.
pub fn assemble_all(
    plans: &[Plan],
    options: Options,
    output: Output<'_>,
    seen: &mut dyn FnMut(u64),
) -> Result<Vec<Summary>, BuildError> {
    let plans: Vec<&Plan> = plans.iter().collect();
    match (&*plans, output) {
        ([plan], output) => Ok(vec![assemble(plan, options, output, seen)?]),
        ([first, ..], _) if options.format == Format::Docker => {
            let recipe = first.recipe().path.display().to_string();
            let problem = "has several platforms, and a docker-archive holds one image; use --format oci or dual";
            Err(BuildError::Recipe { recipe, problem: problem.to_owned() })
        }
        (plans, Output::File(file)) => named_by_digest(plans, options, file, seen),
        (plans, Output::Stream(stream)) => by_file(plans, options, stream, seen),
    }
}

/// Through a file without a name.
fn by_file(
    plans: &[&Plan],
    options: Options,
    stream: &mut dyn Write,
    seen: &mut dyn FnMut(u64),
) -> Result<Vec<Summary>, BuildError> {
    let mut file = tempfile::tempfile().map_err(write_failed)?;
    let summaries = named_by_digest(plans, options, &file, seen)?;
    file.rewind().map_err(write_failed)?;
    io::copy(&mut file, stream).and_then(|_| stream.flush()).map_err(write_failed)?;
    Ok(summaries)
}

fn named_by_digest(
    plans: &[&Plan],
    options: Options,
    file: &File,
    seen: &mut dyn FnMut(u64),
) -> Result<Vec<Summary>, BuildError> {
    let buffered = BufWriter::with_capacity(128 << 10, file);
    let Options { format, compression, threads, cache } = options;
    let cache = Cache::open(cache, compression);
    let store = cache.as_ref().and_then(|cache| cache.blobs().cloned());
    let mut writer = OciWriter::new(buffered, compression, threads, format == Format::Dual, store);
    let mut summaries = Vec::new();
    for plan in plans {
        summaries.push(write(
            plan,
            threads,
            cache.as_ref(),
            PresentLayers::default(),
            &mut writer,
            seen,
        )?);
    }
    let (mut output, length) = writer.close().map_err(write_failed)?;
    output.flush().and_then(|()| file.set_len(length)).map_err(write_failed)?;
    Ok(summaries)
}

fn write_failed(source: io::Error) -> ArchiveError {
    ArchiveError::Write { target: "the image".to_owned(), source }
}

/// What an engine holds of an image already.
#[derive(Clone, Copy, Debug, Default)]
pub struct PresentLayers<'a> {
    /// How many layers, from the lowest on.
    pub layers: usize,
    /// What the new layers are, as [`layers`] found out.
    pub made: &'a [LayerInfo],
}

/// What the new layers of `plan` are, without writing them. Those that are known from before are not read.
///
/// # Errors
/// When contents cannot be read, change while they are, or clash.
pub fn layers(plan: &Plan, threads: usize, cache: CacheUse) -> Result<Vec<LayerInfo>, BuildError> {
    let cache = Cache::open(cache, Compression::None);
    pipeline::run(plan.sources(&plan.layers), threads, memory(cache.as_ref()), &mut Discard, |_| ())
}

/// Builds `plan` into `stream` as a docker-archive that lacks the layers that are `held`.
///
/// # Errors
/// As [`assemble`].
pub fn stream_less(
    plan: &Plan,
    threads: usize,
    cache: CacheUse,
    held: PresentLayers<'_>,
    stream: &mut dyn Write,
) -> Result<Summary, BuildError> {
    let cache = Cache::open(cache, Compression::None);
    let mut writer = DockerWriter::new(BufWriter::with_capacity(128 << 10, stream));
    (0..held.layers).for_each(|_| writer.add_absent_layer());
    write(plan, threads, cache.as_ref(), held, &mut writer, &mut |_| ())
}

/// The reference that the image of `plan` carries, without writing an image. Contents outside the store
/// are read where the tag is derived from them.
///
/// # Errors
/// When contents cannot be read, or no tag can be derived.
pub fn reference(plan: &Plan, threads: usize, cache: CacheUse) -> Result<Reference, BuildError> {
    let name = plan.recipe.name.clone();
    if let Some(tag) = plan.given_tag() {
        return Ok(Reference { name, tag });
    }
    plan.check_derivable()?;
    let unnamed: Vec<PlannedLayer> =
        plan.layers.iter().filter(|layer| !layer.named).cloned().collect();
    let cache = Cache::open(cache, Compression::None);
    let made = pipeline::run(
        plan.sources(&unnamed),
        threads,
        memory(cache.as_ref()),
        &mut Discard,
        |_| (),
    )?;
    let mut diff_ids = made.into_iter().map(|made| made.diff_id);
    let layers: Vec<_> = plan
        .layers
        .iter()
        .map(|layer| (layer.clone(), if layer.named { None } else { diff_ids.next() }))
        .collect();
    Ok(Reference { name, tag: derived(plan, &layers)? })
}

fn derived(plan: &Plan, layers: &[(PlannedLayer, Option<DiffId>)]) -> Result<Tag, BuildError> {
    Ok(plan.identity().tag(layers).ok_or(ArchiveError::WorkerLost)?)
}

fn write(
    plan: &Plan,
    threads: usize,
    cache: Option<&Cache>,
    held: PresentLayers<'_>,
    writer: &mut dyn ImageWriter,
    seen: &mut dyn FnMut(u64),
) -> Result<Summary, BuildError> {
    if plan.given_tag().is_none() {
        plan.check_derivable()?;
    }
    let mut diff_ids = Vec::new();
    let mut sizes = Vec::new();
    if let Some(base) = &plan.base {
        for (index, (layer, size)) in base.image.layers.iter().zip(&base.sizes).enumerate() {
            if index >= held.layers {
                writer.copy_layer(layer, *size)?;
            }
            diff_ids.push(layer.diff_id);
            sizes.push(*size);
        }
    }
    let held_new = held.layers.saturating_sub(diff_ids.len()).min(held.made.len());
    let mut made = held.made[..held_new].to_vec();
    let sources = plan.sources(&plan.layers[held_new..]);
    made.extend(pipeline::run(sources, threads, memory(cache), &mut AsLayers(writer), seen)?);
    cache.iter().for_each(|cache| cache.prune());
    diff_ids.extend(made.iter().map(|made| made.diff_id));
    sizes.extend(made.iter().map(|made| made.size));
    let config = config(plan, diff_ids);
    let raw_config = serde_json::to_vec(&config).map_err(|e| write_failed(e.into()))?;
    let reference = carried_reference(plan, &made)?;
    let blobs: Vec<_> = writer.layer_digests().into_iter().map(Some).collect();
    writer.finish(&raw_config, &reference, &plan.platform).map_err(write_failed)?;
    let mut summary = Summary::new(
        &config,
        Digest::of(&raw_config),
        Some(&reference.to_string()),
        &sizes,
        &blobs,
    );
    let base = plan.layer_counts().0;
    summary.layers.iter_mut().enumerate().for_each(|(index, layer)| layer.base = index < base);
    Ok(summary)
}

fn memory(cache: Option<&Cache>) -> &dyn LayerCache {
    cache.map_or(&NoCache, |cache| cache)
}

/// The part of a writer that takes layers.
struct AsLayers<'a>(&'a mut dyn ImageWriter);

impl crate::archive::sink::LayerSink for AsLayers<'_> {
    fn begin(&mut self, size: u64) -> io::Result<()> {
        self.0.begin(size)
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.data(bytes)
    }

    fn end(&mut self, diff_id: DiffId) -> io::Result<()> {
        self.0.end(diff_id)
    }

    fn cached(&mut self, blob: &CachedBlob, diff_id: DiffId) -> io::Result<()> {
        self.0.cached(blob, diff_id)
    }
}

fn carried_reference(plan: &Plan, made: &[LayerInfo]) -> Result<Reference, BuildError> {
    let name = plan.recipe.name.clone();
    let tag = match plan.given_tag() {
        Some(tag) => tag,
        None => {
            let diff_ids = made.iter().map(|made| Some(made.diff_id));
            derived(plan, &plan.layers.iter().cloned().zip(diff_ids).collect::<Vec<_>>())?
        }
    };
    Ok(Reference { name, tag })
}

/// Fields of old base configs that speak of the container they were committed from, not of the image.
const OF_A_CONTAINER: [&str; 6] =
    ["container", "container_config", "docker_version", "id", "parent", "throwaway"];

fn config(plan: &Plan, diff_ids: Vec<DiffId>) -> ImageConfig {
    let base = plan.base.as_ref();
    let (base_layers, _) = plan.layer_counts();
    let mut history = base.map(super::base::Base::history).unwrap_or_default();
    history.extend(plan.layers.iter().map(|layer| {
        let paths: Vec<String> = layer.paths.iter().map(ToString::to_string).collect();
        History::of_layer(plan.created, base_layers, &paths)
    }));
    let inherits_all = plan.recipe.inherit == crate::image::Inherit::All;
    let extra: BTreeMap<String, Value> = base
        .map(|base| base.image.config.extra.clone())
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, _)| {
            !OF_A_CONTAINER.contains(&name.as_str()) && (inherits_all || name.starts_with("os."))
        })
        .collect();
    let author = base.filter(|_| inherits_all).and_then(|base| base.image.config.author.clone());
    ImageConfig {
        created: Some(plan.created.to_string()),
        author,
        architecture: plan.platform.arch.goarch().to_owned(),
        variant: plan.platform.variant.clone(),
        os: Platform::OS.to_owned(),
        config: plan.config.clone(),
        rootfs: RootFs::new(diff_ids),
        history,
        extra,
    }
}
