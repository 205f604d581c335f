//! Runs the steps of an image, one on top of the other.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};

use serde_json::json;

use super::cache::{self, HashingWriter, Results};
use super::changes::Changes;
use super::event::StepEvent;
use super::namespace::Namespace;
use super::output::Output;
use super::runner::{Context, LowerLayer, Reuse, Runner, StepLayer};
use super::step::{Place, Step, View};
use super::{StepError, compare, inputs};
use crate::archive::ArchiveError;
use crate::image::Digest;
use crate::image::digest::Hasher;

/// The version of everything that decides which bytes a step makes, besides its key. Other versions
/// do not use each other's results. Raise it with each change of what a command sees: mounts,
/// devices and files of the sandbox (`namespace/options.rs`, `vm/steps/steps`), environment, users,
/// capabilities, times and modes of inputs, and of how changes become a layer (`changes.rs`).
const VERSION: u32 = 2;

/// The digests of what `steps` see besides the layers below: commands, environment, inputs.
///
/// # Errors
/// If an input cannot be read.
pub fn keys(steps: &[Step]) -> Result<Vec<Digest>, StepError> {
    steps.iter().map(key_of_step).collect()
}

fn key_of_step(step: &Step) -> Result<Digest, StepError> {
    let mut input_digests = Vec::new();
    for input in &step.inputs {
        let digest = inputs::digest(input)?.to_string();
        input_digests.push(json!([input.target, digest]));
    }
    let seen = json!({
        "args": step.args,
        "env": step.env,
        "inputs": input_digests,
        "network": step.network,
        "place": match step.place { Place::Namespace => "namespace", Place::Vm => "vm" },
        "user": step.user,
        "view": match step.view { View::Image => "image", View::TopLayer => "top layer" },
        "workdir": step.workdir,
    });
    Ok(Digest::of(seen.to_string().as_bytes()))
}

/// Runs `steps` on `layers`, lowest first, and returns a layer for each.
///
/// # Errors
/// If a command fails, does not end in time, or cannot be run, if a layer or an input cannot be
/// read, or, with [`Reuse::Verify`], if a step is not reproducible or its result has changed.
pub fn run(
    mut layers: Vec<LowerLayer<'_>>,
    steps: &[Step],
    context: &Context<'_>,
) -> Result<Vec<StepLayer>, StepError> {
    let results = Results::open(context.reuse);
    let namespace = Namespace::new(context.architecture, context.reuse);
    let mut made = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let runner: &dyn Runner = match (step.place, context.vm) {
            (Place::Namespace, _) => &namespace,
            (Place::Vm, Some(vm)) => vm,
            (Place::Vm, None) => {
                let problem =
                    "where = \"vm\" needs the feature vm; install seatrial with --features vm";
                return Err(StepError::Sandbox(problem.to_owned()));
            }
        };
        let seen = key_of_step(step)?;
        let key = key(&layers, step, seen, runner, context)?;
        let cached = results.get(key);
        let (number, count, title) = (index + 1, steps.len(), step.title());
        let is_cached = cached.is_some();
        (context.on_event)(StepEvent::Begin { number, count, title: &title, cached: is_cached });
        let layer = match cached {
            Some(layer) => layer,
            None => run_step(&layers, step, seen, key, runner, &results, context)?,
        };
        made.push(layer.clone());
        let diff_id = layer.diff_id;
        let open = Box::new(move || Ok(layer.bytes.clone()));
        layers.push(LowerLayer { diff_id, has_contents: step.view == View::TopLayer, open });
    }
    Ok(made)
}

/// The key of a result: the digest of everything that decides which bytes the step makes.
fn key(
    layers: &[LowerLayer<'_>],
    step: &Step,
    seen: Digest,
    runner: &dyn Runner,
    context: &Context<'_>,
) -> Result<Digest, StepError> {
    let is_seen = |layer: &&LowerLayer<'_>| step.view == View::Image || layer.has_contents;
    let layers = layers.iter().filter(is_seen);
    let layers: Vec<String> = layers.map(|layer| layer.diff_id.to_string()).collect();
    let key = json!({
        "architecture": context.architecture,
        "layers": layers,
        "mtime": context.mtime.to_string(),
        "runner": runner.identity()?,
        "step": seen.to_string(),
        "version": VERSION,
    });
    Ok(Digest::of(key.to_string().as_bytes()))
}

fn run_step(
    layers: &[LowerLayer<'_>],
    step: &Step,
    seen: Digest,
    key: Digest,
    runner: &dyn Runner,
    results: &Results,
    context: &Context<'_>,
) -> Result<StepLayer, StepError> {
    let once = || -> Result<StepLayer, StepError> {
        let (tar, digest) = layer_of(layers, step, runner, context)?;
        if key_of_step(step)? != seen {
            let source = step.inputs.first().map(|input| input.source.clone());
            return Err(ArchiveError::Changed(source.unwrap_or_default()).into());
        }
        cache::layer(tar, digest)
    };
    let first = once()?;
    if context.reuse == Reuse::Verify {
        let second = once()?;
        if first.diff_id != second.diff_id {
            let (step, paths) = (step.title(), compare::differing_paths(&first, &second)?);
            return Err(StepError::NotReproducible { step, paths });
        }
        // The result from before, if there is one, is what images with the same tag have.
        if let Some(kept) = results.kept(key).filter(|kept| kept.diff_id != first.diff_id) {
            let (step, paths) = (step.title(), compare::differing_paths(&first, &kept)?);
            return Err(StepError::ChangedSince { step, paths });
        }
    }
    results.insert(key, &first);
    Ok(first)
}

/// Runs `step`, and returns its layer in an unnamed file, with its digest.
fn layer_of(
    layers: &[LowerLayer<'_>],
    step: &Step,
    runner: &dyn Runner,
    context: &Context<'_>,
) -> Result<(File, Digest), StepError> {
    let mut tar = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let mut digest = None;
    let mut output = Output::new(context.on_event);
    runner.run(layers, step, &mut output, &mut |source, format, owners| {
        let invalid = |error: std::io::Error| {
            let problem = format!("failed to read its changes: {error}");
            StepError::Invalid { step: step.title(), problem }
        };
        let writer = BufWriter::with_capacity(128 << 10, &tar);
        let mut writer = HashingWriter { inner: writer, hasher: Hasher::default() };
        let changes = Changes { format, mtime: context.mtime };
        changes.convert(source, owners, &mut writer).map_err(invalid)?;
        writer.flush().map_err(ArchiveError::temporary_file)?;
        digest = Some(writer.hasher.finish());
        Ok(())
    })?;
    tar.rewind().map_err(ArchiveError::temporary_file)?;
    let digest = digest.ok_or(ArchiveError::WorkerLost)?;
    Ok((tar, digest))
}
