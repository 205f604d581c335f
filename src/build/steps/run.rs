//! The steps of a plan: what is below them, and the layers that they make.

use std::io::{self, BufWriter, Read, Write};

use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::archive::pipeline::{self, LayerInfo, NoCache};
use crate::archive::sink::{Discard, LayerSink};
use crate::archive::write::write_failed;
use crate::build::cache::DiskCache;
use crate::build::plan::{MadeLayers, Plan, PlannedLayer};
use crate::build::{BuildError, CacheUse};
use crate::image::DiffId;
use crate::image::env::Env;
use crate::steps::{self, Context, Input, LowerLayer, Reuse, Step, StepError, StepLayer};

/// The variable that tells programs which time to write into files (reproducible-builds.org).
/// Python's compiled files then name the digest of their source in place of its time, which would
/// not be the one in the image.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";
/// 1980-01-01T00:00:00Z in seconds since 1970: zip archives have no earlier times.
const ZIP_EPOCH: u64 = 315_532_800;

impl Plan {
    /// Runs the steps, if there are any and they have not run yet.
    /// [`assemble`](crate::build::assemble()) does that too.
    ///
    /// # Errors
    /// If a step fails, or a layer below it cannot be built.
    pub fn run_steps(&self, threads: usize, cache: CacheUse) -> Result<(), BuildError> {
        let cache = DiskCache::open(cache, crate::archive::Compression::None);
        self.step_layers(threads, &cache).map(drop)
    }

    /// The layers that the steps make, lowest first, and the one with the store paths that these
    /// name, if the image does not have them otherwise. Runs the steps if they have not run yet.
    pub(in crate::build) fn step_layers(
        &self,
        threads: usize,
        cache: &DiskCache,
    ) -> Result<&[StepLayer], BuildError> {
        if let Some(made) = self.steps.made.get() {
            return Ok(&made.layers);
        }
        let mut made = MadeLayers { layers: self.run(threads, cache)?, store_paths: Vec::new() };
        if let Some(named) = self.layer_named_by_steps(&made.layers)? {
            made.layers.push(self.store_layer(&named, threads)?);
            made.store_paths = named.paths;
        }
        Ok(&self.steps.made.get_or_init(|| made).layers)
    }

    /// The digests and sizes of the planned layers. Those that are cached are not read.
    pub(in crate::build) fn planned_layers(
        &self,
        threads: usize,
        cache: &DiskCache,
    ) -> Result<&[LayerInfo], BuildError> {
        if let Some(known) = self.steps.planned.get() {
            return Ok(known);
        }
        let sources = self.sources(&self.layers);
        let known = pipeline::run(sources, threads, cache, &mut Discard, |_| ())?;
        Ok(self.steps.planned.get_or_init(|| known))
    }

    fn run(&self, threads: usize, cache: &DiskCache) -> Result<Vec<StepLayer>, BuildError> {
        let steps = self.complete_steps()?;
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let made = self.planned_layers(threads, cache)?;
        let mut layers: Vec<LowerLayer<'_>> = Vec::new();
        for layer in self.base.iter().flat_map(|base| &base.image.layers) {
            let open = Box::new(|| Ok(layer.bytes.clone()));
            layers.push(LowerLayer { diff_id: layer.diff_id, has_contents: false, open });
        }
        for (layer, info) in self.layers.iter().zip(made) {
            let diff_id = info.diff_id;
            let open = Box::new(move || {
                self.layer_file(layer, diff_id, threads).map_err(|error| match error {
                    BuildError::Archive(error) => StepError::Archive(error),
                    error => StepError::Layer(Box::new(error)),
                })
            });
            layers.push(LowerLayer { diff_id, has_contents: layer.has_contents(), open });
        }
        let settings = &self.steps.settings;
        let architecture = self.platform.arch.goarch();
        let vm = settings.vm(architecture);
        let context = Context {
            mtime: self.recipe.mtime.time(),
            architecture,
            reuse: match cache.using() {
                CacheUse::On => Reuse::Everything,
                CacheUse::RefreshSteps => Reuse::Refresh,
                CacheUse::Verify => Reuse::Verify,
                CacheUse::Off => Reuse::Nothing,
            },
            vm: vm.as_deref(),
            on_event: &|event| settings.notify(event),
        };
        let ran = steps::run(layers, &steps, &context);
        Ok(ran.map_err(|error| match settings.has_observer() {
            true => error.without_output(),
            false => error,
        })?)
    }

    /// The recipe's steps, with [`SOURCE_DATE_EPOCH`] and the environment of the image before their
    /// own, and without outputs in their inputs.
    pub(in crate::build) fn complete_steps(&self) -> Result<Vec<Step>, BuildError> {
        let image = Env::parse(self.config.env.iter().flatten())?;
        let epoch = self.recipe.mtime.time().seconds().max(ZIP_EPOCH);
        let complete = |step: &Step| {
            let mut env = Env::parse([format!("{SOURCE_DATE_EPOCH}={epoch}")])?;
            image.iter().for_each(|(name, value)| env.set(name, value));
            step.env.iter().for_each(|(name, value)| env.set(name, value));
            let env = env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let inputs = step.inputs.iter().map(|input| self.without_outputs(input)).collect();
            Ok(Step { env, inputs, ..step.clone() })
        };
        self.recipe.steps.iter().map(complete).collect()
    }

    fn without_outputs(&self, input: &Input) -> Input {
        let resolved = input.source.canonicalize();
        let left_out = resolved.map_or_else(|_| Vec::new(), |path| self.outputs.within(&path));
        Input { left_out, ..input.clone() }
    }

    /// Writes the planned `layer`, whose diff ID is `expected`, to an unnamed file.
    pub(in crate::build) fn layer_file(
        &self,
        layer: &PlannedLayer,
        expected: DiffId,
        threads: usize,
    ) -> Result<FileSlice, BuildError> {
        let (bytes, info) = self.written(layer, threads)?;
        match info.diff_id == expected {
            true => Ok(bytes),
            false => Err(ArchiveError::Changed("the contents".into()).into()),
        }
    }

    /// Makes the layer of the store paths that steps name.
    fn store_layer(&self, layer: &PlannedLayer, threads: usize) -> Result<StepLayer, BuildError> {
        let (bytes, LayerInfo { diff_id, entries, .. }) = self.written(layer, threads)?;
        Ok(StepLayer { bytes, diff_id, entries, cached: false })
    }

    /// Writes a new layer to an unnamed file, and returns what is known about it.
    fn written(
        &self,
        layer: &PlannedLayer,
        threads: usize,
    ) -> Result<(FileSlice, LayerInfo), BuildError> {
        let file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
        let sources = self.sources(std::slice::from_ref(layer));
        let mut sink = FileSink(BufWriter::with_capacity(128 << 10, &file));
        let written = pipeline::run(sources, threads, &NoCache, &mut sink, |_| ());
        sink.0.flush().map_err(ArchiveError::temporary_file)?;
        let info = written
            .map_err(BuildError::writing_to_temporary_file)?
            .pop()
            .ok_or(ArchiveError::WorkerLost)?;
        drop(sink);
        Ok((FileSlice::whole(file).map_err(ArchiveError::temporary_file)?, info))
    }
}

/// Writes the layer of a step into an image, compressed like the other new layers.
pub(in crate::build) fn write_layer(
    layer: &StepLayer,
    cache: &DiskCache,
    sink: &mut dyn LayerSink,
) -> Result<(), ArchiveError> {
    if let Some(blob) = cache.blobs().and_then(|blobs| blobs.get(layer.diff_id)) {
        return sink.cached(&blob, layer.diff_id).map_err(write_failed);
    }
    sink.begin(layer.bytes.len()).map_err(write_failed)?;
    let (mut bytes, mut buffer) = (layer.bytes.clone(), vec![0; 256 << 10]);
    loop {
        match bytes.read(&mut buffer).map_err(ArchiveError::temporary_file)? {
            0 => return sink.end(layer.diff_id).map_err(write_failed),
            count => sink.data(&buffer[..count]).map_err(write_failed)?,
        }
    }
}

/// The digest and size of a step's layer.
pub(in crate::build) fn info(layer: &StepLayer) -> LayerInfo {
    LayerInfo { diff_id: layer.diff_id, size: layer.bytes.len(), entries: layer.entries }
}

/// Writes one layer to a file.
struct FileSink<'f>(BufWriter<&'f std::fs::File>);

impl LayerSink for FileSink<'_> {
    fn begin(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn end(&mut self, _: DiffId) -> io::Result<()> {
        Ok(())
    }
}
