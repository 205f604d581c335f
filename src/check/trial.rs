//! Tests one image on one engine: a VM is started, the image is loaded, and its runtime checks run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::expectations::ExpectationsFile;
use super::input::CheckInput;
use super::kept_vm::{Kept, KeptImage, may_change_vm};
use super::recorder::{Options, Recorder};
use super::runtime_checks::companions::{CompanionImage, Images};
use super::runtime_checks::environment::{self, ContainerEnvironment};
use super::runtime_checks::{self, RuntimeChecks};
use super::trial_vm::{self, TrialVm};
use super::verdict::{Checks, EngineRun, Outcome, TestCase};
use crate::engine::EngineError;
use crate::harness::{Daemon, HarnessError, LoadedImage};
use crate::text::errors::chain;
use crate::vm::Guest;
use crate::vm::guest::Api;

/// An image, what is expected of it, and the images of further containers.
#[derive(Clone, Copy)]
pub(super) struct Trial<'a> {
    pub(super) input: &'a CheckInput,
    pub(super) files: &'a [ExpectationsFile],
    pub(super) companions: &'a BTreeMap<PathBuf, CheckInput>,
}

impl Trial<'_> {
    /// Returns the architectures of the image and of the VM.
    fn architectures(&self) -> (&str, &str) {
        (&self.input.image.image.config.architecture, self.input.platform.arch.goarch())
    }
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

/// Tests an image on an engine.
pub(super) async fn run_on_engine(
    trial: Trial<'_>,
    engine: &Target<'_>,
    options: &Options,
    recorder: &mut Recorder<'_>,
) {
    let image = trial.input.image.name();
    let failed = |problem: String| {
        TestCase::error(&image, "the engine", problem).on_engine(engine.name, Duration::ZERO)
    };
    let guest = match engine.guest {
        Ok(guest) => guest,
        Err(problem) => return recorder.record(failed(problem.clone())),
    };
    let vm = match TrialVm::start(trial.input, engine.name, guest, options, recorder).await {
        Ok(vm) => vm,
        Err(error) => return recorder.record(failed(problem(&error, options))),
    };
    let begin = Instant::now();
    match load(trial, engine.name, &vm, recorder).await {
        Ok((loaded, environment)) => {
            let on_vm = (&vm, &loaded);
            let kept = run(trial, engine.name, on_vm, environment, options, recorder).await;
            if let Some(kept) = kept {
                return keep(vm, (engine.name, kept), trial, options);
            }
        }
        Err(HarnessError::Engine(EngineError::Load(problem))) => {
            // Recorded whatever the filter is: no other runtime check can run.
            let case = rejected(&image, engine.name, &problem);
            recorder.record_unfiltered(case.on_engine(engine.name, begin.elapsed()));
        }
        Err(error) => recorder.record(failed(problem(&error, options))),
    }
    if options.named_vm.is_some() {
        vm.daemon.remove_leftovers().await;
    }
}

/// Describes why an engine could not be tested, and what to do about it.
fn problem(error: &HarnessError, options: &Options) -> String {
    let advice = match error {
        HarnessError::Engine(EngineError::DiskFull(_)) if options.named_vm.is_some() => {
            "; seatrial vm up starts a VM with a larger one: --disk GIB"
        }
        HarnessError::Engine(EngineError::DiskFull(_)) => {
            "; give the VM a larger one: --disk GIB, or disk_gib in [vm]"
        }
        _ => "",
    };
    chain(error) + advice
}

/// Loads the image, and begins the section of the engine with that.
async fn load<'v>(
    trial: Trial<'_>,
    engine: &str,
    vm: &'v TrialVm,
    recorder: &mut Recorder<'_>,
) -> Result<(LoadedImage<'v>, ContainerEnvironment), HarnessError> {
    let image = trial.input.image.name();
    recorder.progress(format!("loading {image} into {engine}"));
    // At the same time, because an engine loads an image on one CPU.
    let version = vm.daemon.engine().version();
    let environment = container_environment(trial, &vm.daemon, recorder);
    let load = vm.load(trial.input);
    let (loaded, version, environment, ()) =
        tokio::join!(load, version, environment, vm.daemon.prepare_name_files());
    let (loaded, present_layers, duration) = loaded?;
    let named = (engine, version.unwrap_or_default());
    let engine_run = engine_run(&image, named, &vm.daemon, duration, present_layers);
    recorder.engine_section(&image, engine_run);
    Ok((loaded, environment))
}

/// The images that the engine of a VM keeps for the next run: the ID of the image under test, and
/// the images of further containers.
type KeptImages = (String, Vec<KeptImage>);

/// Runs the runtime checks of the loaded image. Returns the images that stay if the VM is kept.
async fn run(
    trial: Trial<'_>,
    engine: &str,
    (vm, loaded): (&TrialVm, &LoadedImage<'_>),
    mut environment: ContainerEnvironment,
    options: &Options,
    recorder: &mut Recorder<'_>,
) -> Option<KeptImages> {
    let images = load_companions(trial, vm, recorder).await;
    run_runtime_checks(trial, engine, (loaded, &images), &mut environment, recorder).await;
    if !may_keep(trial, options, recorder) {
        return None;
    }
    vm.daemon.remove_leftovers().await;
    images_to_keep(trial, vm, loaded, &images).await
}

/// The test case of an image that the engine rejects, which is a result of the test.
fn rejected(image: &str, engine: &str, problem: &str) -> TestCase {
    let mut checks = Checks::default();
    let found = format!("{engine} rejects it: {problem}");
    checks.record("load", "the engine accepts the image", found, false);
    TestCase::finished(image, runtime_checks::LOAD, checks)
}

/// Whether the VM can be used again: that is requested, and nothing may have changed it. After an
/// error, its engine may not even answer.
fn may_keep(trial: Trial<'_>, options: &Options, recorder: &Recorder<'_>) -> bool {
    let is_error =
        |case: &TestCase| matches!(case.outcome, Outcome::Error { .. }) && case.engine.is_some();
    let damaged = may_change_vm(trial.files) || recorder.verdict.cases.iter().any(is_error);
    options.kept_vm.is_some() && !damaged
}

/// Removes the images of the run before that are no longer needed, and returns the others.
async fn images_to_keep(
    trial: Trial<'_>,
    vm: &TrialVm,
    loaded: &LoadedImage<'_>,
    images: &Images<'_>,
) -> Option<KeptImages> {
    let mut companions = Vec::new();
    for (path, input) in trial.companions {
        let Some(Ok(CompanionImage { image, .. })) = images.get(path) else { continue };
        if let Ok(facts) = image.inspect().await {
            let (loaded, reference) = (input.image.image.id(), image.reference().to_owned());
            companions.push(KeptImage { loaded, reference, id: facts.id });
        }
    }
    let image = vm.remove_previous(loaded, &companions).await?;
    Some((image, companions))
}

/// Keeps the VM for the next run, with the images that its engine has.
fn keep(
    vm: TrialVm,
    (engine, (image, companions)): (&str, KeptImages),
    trial: Trial<'_>,
    options: &Options,
) {
    if let Some(kept_vm) = &options.kept_vm {
        let (engine, options) = (engine.to_owned(), options.vm.clone());
        let layers = trial_vm::diff_ids(trial.input);
        kept_vm.keep(Kept { engine, options, daemon: vm.daemon, image, layers, companions });
    }
}

fn engine_run(
    image: &str,
    (engine, version): (&str, String),
    daemon: &Daemon,
    load_duration: Duration,
    present_layers: usize,
) -> EngineRun {
    EngineRun {
        image: image.to_owned(),
        engine: engine.to_owned(),
        version,
        timeline: daemon.timeline().events().to_vec(),
        fallback: daemon.fallback().map(str::to_owned),
        load_seconds: load_duration.as_secs_f64(),
        present_layers,
    }
}

async fn run_runtime_checks<'d>(
    trial: Trial<'_>,
    engine: &str,
    (image, companion_images): (&LoadedImage<'d>, &Images<'d>),
    environment: &mut ContainerEnvironment,
    recorder: &mut Recorder<'_>,
) {
    let Trial { input, files, .. } = trial;
    let (image_arch, vm_arch) = trial.architectures();
    let image_user = input.image.image.config.config.user.as_deref();
    for ExpectationsFile { expectations, .. } in files {
        let report = &mut |case: TestCase| recorder.record(case);
        let mut checks = RuntimeChecks {
            image,
            image_under_test: &input.image,
            image_user,
            companion_images,
            engine,
            environment: &mut *environment,
            report,
            held: None,
            known_ends: BTreeMap::new(),
        };
        checks.check_load().await;
        if image_arch == vm_arch {
            checks.check_containers(expectations).await;
        } else {
            let reason = format!("the image is for {image_arch}, the VM is {vm_arch}");
            checks.skip_containers(expectations, &reason);
        }
    }
}

/// Starts to record the environments of containers, if a test case will have one that counts.
async fn container_environment(
    trial: Trial<'_>,
    daemon: &Daemon,
    recorder: &Recorder<'_>,
) -> ContainerEnvironment {
    if !recorder.selects(runtime_checks::ENVIRONMENT) {
        return ContainerEnvironment::NotWanted;
    }
    let (image_arch, vm_arch) = trial.architectures();
    let offered = trial.files.iter().any(|file| environment::is_offered(&file.expectations));
    // Without a recording, a container is started for the environment.
    let recording = match offered && image_arch == vm_arch {
        true => daemon.record_environments().await.ok(),
        false => None,
    };
    ContainerEnvironment::Unknown(recording)
}

/// Loads the images of further containers into the engine.
async fn load_companions<'d>(
    trial: Trial<'_>,
    vm: &'d TrialVm,
    recorder: &mut Recorder<'_>,
) -> Images<'d> {
    let mut images = Images::new();
    for (path, input) in trial.companions {
        let user = input.image.image.config.config.user.clone();
        let loaded = match vm.loaded_companion(input).await {
            Some(image) => Ok(image),
            None => {
                recorder.progress(format!("loading {}", input.image.name()));
                vm.load_companion(input).await
            }
        };
        let loaded = loaded.map(|image| CompanionImage { image, user });
        images.insert(path.clone(), loaded.map_err(|error| chain(&error)));
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_of_a_vm_comes_with_advice_and_other_failures_do_not() {
        let full = || EngineError::DiskFull("write /blob: no space left on device".to_owned());
        let new = Options::default();
        let named = Options { named_vm: Some("deck".to_owned()), ..Options::default() };
        assert!(problem(&full().into(), &new).ends_with(": --disk GIB, or disk_gib in [vm]"));
        assert!(problem(&full().into(), &named).contains("seatrial vm up starts"));
        assert!(!problem(&EngineError::NoAddress.into(), &new).contains("--disk"));
    }
}
