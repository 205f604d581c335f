//! Runs checks: static checks first, then runtime checks, each image in a VM of its own for each
//! engine. Nothing is printed here: progress and results are reported as events.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::CheckError;
use super::expectations::ExpectationsFile;
use super::input::CheckInput;
use super::recorder::{Event, Options, Recorder, Reporter};
use super::runtime_checks::companions::Images;
use super::runtime_checks::{self, RuntimeChecks};
use super::verdict::{Checks, EngineRun, TestCase, Verdict};
use crate::engine::EngineError;
use crate::errors::chain;
use crate::harness::{Daemon, HarnessError, LoadedImage};
use crate::image::Platform;
use crate::image::platform::Arch;
use crate::vm::guest::Api;
use crate::vm::pool::{PrepareOptions, prepare};
use crate::vm::{Definition, Guest};

/// Returns the architecture of the VMs of `engine`; the host's, if there is no such engine.
pub fn arch_of(engine: &str) -> Arch {
    Definition::named(engine)
        .map_or(Platform::host().arch, |definition| definition.machine_type.arch)
}

/// Checks each of `inputs` against each of `files`, on the engines of the input's architecture.
/// Guests are assembled and snapshots made, if they are missing. Engines run side by side, as far
/// as there are VM slots, and are reported in order.
///
/// # Errors
/// If an image cannot be read again, or the filter excludes all test cases. A failure of an engine
/// is an error of a test case instead.
pub async fn run(
    inputs: &[CheckInput],
    files: &[ExpectationsFile],
    options: &Options,
    threads: usize,
    reporter: Reporter<'_>,
) -> Result<Verdict, CheckError> {
    let begin = Instant::now();
    options.check_filter(files)?;
    let files: Vec<ExpectationsFile> = files.iter().map(|file| options.select(file)).collect();
    let mut recorder = Recorder::new(options, reporter);
    let mut guests = BTreeMap::new();
    for input in inputs {
        let env = input.image.image.config.config.env.clone().unwrap_or_default();
        let files: Vec<ExpectationsFile> = files.iter().map(|file| file.expanded(&env)).collect();
        run_static_checks(input, &files, options, threads, &mut recorder)?;
        let engines = input.engines(options);
        let companions = match engines.is_empty() {
            true => BTreeMap::new(),
            false => input.companions(&files, threads)?,
        };
        let trial = Trial { input, files: &files, companions: &companions };
        for engine in &engines {
            if !guests.contains_key(engine) {
                let guest = prepare_guest(engine, options, &mut recorder).await;
                guests.insert(engine.clone(), guest);
            }
        }
        let engines: Vec<Target<'_>> = engines
            .iter()
            .filter_map(|name| Some(Target { name, guest: guests.get(name)?.as_ref() }))
            .collect();
        match &engines[..] {
            [engine] => run_on_engine(trial, engine, options, &mut recorder).await,
            engines => run_on_engines(trial, engines, options, &mut recorder).await,
        }
    }
    recorder.verdict.seconds = begin.elapsed().as_secs_f64();
    Ok(recorder.verdict)
}

/// An image, what is expected of it, and the images of further containers.
#[derive(Clone, Copy)]
struct Trial<'a> {
    input: &'a CheckInput,
    files: &'a [ExpectationsFile],
    companions: &'a BTreeMap<PathBuf, CheckInput>,
}

/// An engine with its guest, or the reason why there is none.
struct Target<'a> {
    name: &'a str,
    guest: Result<&'a Guest, &'a String>,
}

impl Target<'_> {
    /// Whether the engine creates a pod for each container, which takes twice as long.
    fn creates_pods(&self) -> bool {
        self.guest.is_ok_and(|guest| guest.definition.family.api == Api::Cri)
    }
}

fn run_static_checks(
    input: &CheckInput,
    files: &[ExpectationsFile],
    options: &Options,
    threads: usize,
    recorder: &mut Recorder<'_>,
) -> Result<(), CheckError> {
    let image = input.name();
    recorder.section(&image, None);
    for ExpectationsFile { expectations, folder } in files {
        let begin = Instant::now();
        let mut cases = input.image.static_checks(expectations, folder)?;
        if expectations.image.reproducible == Some(true) {
            recorder.progress(format!("building {image} again"));
            cases.push(input.reproducible_build(threads)?);
        }
        if options.engines.is_empty() {
            let reason = "no engine was selected";
            cases.extend(runtime_checks::all_skipped(&image, expectations, reason));
        }
        let seconds = begin.elapsed().as_secs_f64();
        for case in cases {
            recorder.record(TestCase { seconds, image: image.clone(), ..case });
        }
    }
    Ok(())
}

/// Assembles a guest and makes its snapshot, if they are missing. Returns the reason if that fails,
/// because the other engines can still run.
async fn prepare_guest(
    engine: &str,
    options: &Options,
    recorder: &mut Recorder<'_>,
) -> Result<Guest, String> {
    let prepare_options = PrepareOptions {
        accelerator: options.vm.accelerator,
        snapshot: options.vm.restores(),
        ..PrepareOptions::default()
    };
    let mut report = |progress: crate::vm::pool::Progress<'_>| {
        recorder.progress(progress.to_string());
    };
    prepare(engine, &prepare_options, &mut report).await.map_err(|error| chain(&error))
}

/// Runs all engines side by side and reports them in order.
async fn run_on_engines(
    trial: Trial<'_>,
    engines: &[Target<'_>],
    options: &Options,
    recorder: &mut Recorder<'_>,
) {
    if engines.is_empty() {
        return;
    }
    let image = trial.input.image.name();
    recorder.progress(format!("testing {image} on {} engines", engines.len()));
    // The slowest engines get the first VM slots, so that none of them runs alone at the end.
    let mut order: Vec<usize> = (0..engines.len()).collect();
    order.sort_by_key(|index| !engines[*index].creates_pods());
    let runs = order.into_iter().map(|index| async move {
        let mut no_events = |_: Event<'_>| ();
        let mut recorder = Recorder::new(options, &mut no_events);
        run_on_engine(trial, &engines[index], options, &mut recorder).await;
        (index, recorder.verdict)
    });
    let mut runs = futures_util::stream::iter(runs).buffer_unordered(engines.len());
    let (mut finished, mut next) = (BTreeMap::new(), 0);
    while let Some((index, verdict)) = runs.next().await {
        finished.insert(index, verdict);
        while let Some(verdict) = finished.remove(&next) {
            next += 1;
            recorder.append(&image, verdict);
        }
    }
}

async fn run_on_engine(
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
    recorder.progress(format!("starting {}", engine.name));
    let daemon = match Daemon::start_guest(guest, &options.vm).await {
        Ok(daemon) => daemon,
        Err(error) => return recorder.record(failed(chain(&error))),
    };
    recorder.progress(format!("loading {image} into {}", engine.name));
    let begin = Instant::now();
    let (archive, opened) = (&input.archive, &input.image);
    let loaded = daemon.load_opened(archive, &opened.image, &opened.layer_sizes()).await;
    match loaded {
        Ok(loaded) => {
            let engine_run = engine_run(engine.name, &daemon, begin.elapsed()).await;
            recorder.engine_section(&image, engine_run);
            run_runtime_checks(trial, engine.name, &loaded, recorder).await;
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

impl CheckInput {
    /// Returns the engines of the input's architecture.
    fn engines(&self, options: &Options) -> Vec<String> {
        let same_arch = |engine: &&String| arch_of(engine) == self.platform.arch;
        options.engines.iter().filter(same_arch).cloned().collect()
    }
}
