//! Tests one image on one engine: a VM is started, the image is loaded, and its runtime checks run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::expectations::ExpectationsFile;
use super::input::CheckInput;
use super::kept_vm::{Kept, may_change_vm};
use super::recorder::{Options, Recorder};
use super::runtime_checks::companions::Images;
use super::runtime_checks::{self, RuntimeChecks};
use super::verdict::{Checks, EngineRun, Outcome, TestCase};
use crate::engine::EngineError;
use crate::errors::chain;
use crate::harness::{Daemon, HarnessError, LoadedImage};
use crate::image::DiffId;
use crate::image::digest::chain_ids;
use crate::vm::Guest;
use crate::vm::guest::Api;
use crate::vm::pool::{Layered, OwnVms, layered};

/// An image, what is expected of it, and the images of further containers.
#[derive(Clone, Copy)]
pub(super) struct Trial<'a> {
    pub(super) input: &'a CheckInput,
    pub(super) files: &'a [ExpectationsFile],
    pub(super) companions: &'a BTreeMap<PathBuf, CheckInput>,
}

/// An engine with its guest, or the reason why there is none.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    pub(super) guest: Result<&'a Guest, &'a String>,
}

impl Target<'_> {
    /// Whether the engine creates a pod for each container, which takes twice as long.
    pub(super) fn creates_pods(&self) -> bool {
        self.guest.is_ok_and(|guest| guest.definition.family.api == Api::Cri)
    }
}

/// The size of missing layers in bytes from which a VM is saved with them: sending that much takes
/// longer than saving.
const SAVE_SIZE: u64 = 16 << 20;
/// The note in snapshots.
const NOTE: &str = "for checks";

/// A VM for a trial.
struct TrialVm {
    daemon: Daemon,
    /// Whether its engine may have layers of the image.
    has_layers: bool,
    /// The ID of the image that a run before this one has tested in it.
    previous_image: Option<String>,
}

/// Tests an image on an engine.
pub(super) async fn run_on_engine(
    trial: Trial<'_>,
    engine: &Target<'_>,
    options: &Options,
    recorder: &mut Recorder<'_>,
) {
    let input = trial.input;
    let image = input.image.name();
    let failed = |problem: String| {
        TestCase::error(&image, "the engine", problem).on_engine(engine.name, Duration::ZERO)
    };
    let guest = match engine.guest {
        Ok(guest) => guest,
        Err(problem) => return recorder.record(failed(problem.clone())),
    };
    let vm = match start(input, engine.name, guest, options, recorder).await {
        Ok(vm) => vm,
        Err(error) => return recorder.record(failed(chain(&error))),
    };
    recorder.progress(format!("loading {image} into {}", engine.name));
    let begin = Instant::now();
    match load(&vm, input).await {
        Ok(loaded) => {
            let engine_run = engine_run(engine.name, &vm.daemon, begin.elapsed()).await;
            recorder.engine_section(&image, engine_run);
            run_runtime_checks(trial, engine.name, &loaded, recorder).await;
            let id = remove_previous(&vm, &loaded).await;
            keep(vm, (engine.name, id), trial.files, options, recorder);
        }
        // The engine works but rejects the image: a result of the test.
        Err(HarnessError::Engine(EngineError::Load(problem))) => {
            let mut checks = Checks::default();
            let found = format!("{} rejects it: {problem}", engine.name);
            checks.record("load", "the engine accepts the image", found, false);
            let case = TestCase::finished(&image, runtime_checks::LOAD, checks);
            // Recorded whatever the filter is: no other runtime check can run.
            recorder.record_unfiltered(case.on_engine(engine.name, begin.elapsed()));
        }
        Err(error) => recorder.record(failed(chain(&error))),
    }
}

/// Returns the VM that was kept from the run before, the named VM, or a new one.
async fn start(
    input: &CheckInput,
    engine: &str,
    guest: &Guest,
    options: &Options,
    recorder: &mut Recorder<'_>,
) -> Result<TrialVm, HarnessError> {
    let kept = options.kept_vm.as_ref().and_then(|kept_vm| kept_vm.take(engine, &options.vm));
    if let Some(Kept { daemon, image, .. }) = kept
        && daemon.engine().ping().await.is_ok()
    {
        return Ok(TrialVm { daemon, has_layers: true, previous_image: Some(image) });
    }
    recorder.progress(format!("starting {engine}"));
    if let Some(name) = &options.named_vm {
        let daemon = Daemon::attach(Some(name)).await?;
        return Ok(TrialVm { daemon, has_layers: true, previous_image: None });
    }
    let (daemon, has_layers) = match may_omit_layers(input, guest, options) {
        true => start_with_layers(input, guest, options, recorder).await?,
        false => (Daemon::start_guest(guest, &options.vm).await?, false),
    };
    Ok(TrialVm { daemon, has_layers, previous_image: None })
}

/// Whether layers of the image may be in a snapshot. Only Docker accepts archives without them.
fn may_omit_layers(input: &CheckInput, guest: &Guest, options: &Options) -> bool {
    let family = &guest.definition.family;
    input.recipe.is_some() && options.vm.restores() && family.name == "docker"
}

/// Restores a VM from the snapshot whose engine has the most of the image's layers. If the others
/// are large and the engine need not get them again, they are loaded, and the VM is saved with them
/// before any container runs in it.
async fn start_with_layers(
    input: &CheckInput,
    guest: &Guest,
    options: &Options,
    recorder: &mut Recorder<'_>,
) -> Result<(Daemon, bool), HarnessError> {
    let opened = &input.image;
    let diff_ids: Vec<DiffId> = opened.image.layers.iter().map(|layer| layer.diff_id).collect();
    let (chain_ids, sizes) = (chain_ids(&diff_ids), opened.layer_sizes());
    let found = layered::find(guest, options.vm.accelerator, &chain_ids).await?;
    let (from, present) = found.map_or((None, 0), |(from, count)| (Some(from), count));
    let missing: u64 = sizes.iter().skip(present).sum();
    let saveable = missing >= SAVE_SIZE;
    let layered = Layered { from, saveable };
    let daemon = Daemon::start_layered(guest, &options.vm, OwnVms::End, &layered).await?;
    if !saveable || !daemon.accepts_missing_layers().await? {
        return Ok((daemon, present > 0));
    }
    recorder.progress(format!("loading {} for a snapshot", opened.name()));
    daemon.load_for_snapshot(&opened.image, &sizes, present).await?;
    recorder.progress("saving a snapshot with the layers".to_owned());
    // Without a snapshot, on a full disk for example, the trial runs as well.
    let saved = daemon.save(guest, &chain_ids, NOTE).await.ok();
    let layered = Layered { from: saved.or(layered.from), saveable: false };
    let daemon = Daemon::start_layered(guest, &options.vm, OwnVms::End, &layered).await?;
    Ok((daemon, true))
}

/// Loads the image of `input`. Layers that the engine has are not sent, if a recipe was built: the
/// archive of another program is loaded as it is, because that is part of the test.
async fn load<'a>(vm: &'a TrialVm, input: &CheckInput) -> Result<LoadedImage<'a>, HarnessError> {
    let (archive, opened) = (&input.archive, &input.image);
    let sizes = opened.layer_sizes();
    if vm.has_layers
        && input.recipe.is_some()
        && let Some(loaded) = vm.daemon.load_missing_layers(&opened.image, &sizes).await?
    {
        return Ok(loaded);
    }
    vm.daemon.load_opened(archive, &opened.image, &sizes).await
}

/// Removes the image that the run before has tested, if this run has tested another one. Returns
/// this one's ID.
async fn remove_previous(vm: &TrialVm, loaded: &LoadedImage<'_>) -> Option<String> {
    let id = loaded.inspect().await.ok()?.id;
    if let Some(previous) = vm.previous_image.as_ref().filter(|previous| **previous != id) {
        // Some engines have removed it already.
        let _ = vm.daemon.engine().remove(previous).await;
    }
    Some(id)
}

/// Keeps the VM for the next run, if that is requested and nothing may have changed it.
fn keep(
    vm: TrialVm,
    (engine, image): (&str, Option<String>),
    files: &[ExpectationsFile],
    options: &Options,
    recorder: &Recorder<'_>,
) {
    let is_error = |case: &TestCase| matches!(case.outcome, Outcome::Error { .. });
    let damaged = may_change_vm(files) || recorder.verdict.cases.iter().any(is_error);
    if let (Some(kept_vm), Some(image), false) = (&options.kept_vm, image, damaged) {
        let (engine, options) = (engine.to_owned(), options.vm.clone());
        kept_vm.keep(Kept { engine, options, daemon: vm.daemon, image });
    }
}

async fn engine_run(engine: &str, daemon: &Daemon, load_duration: Duration) -> EngineRun {
    EngineRun {
        engine: engine.to_owned(),
        version: daemon.engine().version().await.unwrap_or_default(),
        timeline: daemon.timeline().events().to_vec(),
        fallback: daemon.fallback().map(str::to_owned),
        load_seconds: load_duration.as_secs_f64(),
    }
}

async fn run_runtime_checks(
    trial: Trial<'_>,
    engine: &str,
    image: &LoadedImage<'_>,
    recorder: &mut Recorder<'_>,
) {
    let Trial { input, files, .. } = trial;
    let (image_arch, vm_arch) =
        (&input.image.image.config.architecture, input.platform.arch.goarch());
    let image_user = input.image.image.config.config.user.as_deref();
    let companion_images = &load_companions(trial, image.daemon(), recorder).await;
    for ExpectationsFile { expectations, .. } in files {
        let report = &mut |case: TestCase| recorder.record(case);
        let mut checks = RuntimeChecks { image, image_user, companion_images, engine, report };
        checks.check_load().await;
        if image_arch == vm_arch {
            checks.check_containers(expectations).await;
        } else {
            let reason = format!("the image is for {image_arch}, the VM is {vm_arch}");
            checks.skip_containers(expectations, &reason);
        }
    }
}

/// Loads the images of further containers into the engine.
async fn load_companions<'d>(
    trial: Trial<'_>,
    daemon: &'d Daemon,
    recorder: &mut Recorder<'_>,
) -> Images<'d> {
    let mut images = Images::new();
    for (path, input) in trial.companions {
        let opened = &input.image;
        recorder.progress(format!("loading {}", opened.name()));
        let (archive, sizes) = (&input.archive, opened.layer_sizes());
        let loaded = daemon.load_opened(archive, &opened.image, &sizes).await;
        images.insert(path.clone(), loaded.map_err(|error| chain(&error)));
    }
    images
}
