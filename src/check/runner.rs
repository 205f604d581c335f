//! Runs checks: static checks first, then runtime checks, each image in a VM of its own for each
//! engine. Nothing is printed here: progress and results are reported as events.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::StreamExt;

use super::CheckError;
use super::expectations::ExpectationsFile;
use super::input::CheckInput;
use super::recorder::{Event, Options, Recorder, Reporter};
use super::runtime_checks;
use super::static_checks;
use super::trial::{Target, Trial, run_on_engine};
use super::verdict::{TestCase, Verdict};
use crate::build;
use crate::image::Platform;
use crate::image::platform::Arch;
use crate::text::errors::chain;
use crate::vm::guest::assemble::{Sources, locate};
use crate::vm::pool::{PrepareOptions, prepare};
use crate::vm::{Definition, Guest};

/// Returns the architecture of the VMs of `engine`; the host's, if there is no such engine.
pub fn arch_of(engine: &str) -> Arch {
    Definition::named(engine)
        .map_or(Platform::host().arch, |definition| definition.machine_type.arch)
}

/// The reason why runtime checks are skipped if there are no engines.
const NO_ENGINE: &str = "needs an engine; only the image was checked (--no-vm)";

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
    let (started, begin) = (Some(build::now()), Instant::now());
    let files = ExpectationsFile::with_distinct_names(files);
    options.check_filter(&files)?;
    let files: Vec<ExpectationsFile> = files.iter().map(|file| options.select(file)).collect();
    let options = &options.for_files(&files);
    let needs_engines = options.select_runtime_check(&files);
    let mut recorder = Recorder::new(options, reporter);
    let mut guests = BTreeMap::new();
    for input in inputs {
        let env = input.image.image.config.config.env.clone().unwrap_or_default();
        let files: Vec<ExpectationsFile> = files.iter().map(|file| file.expanded(&env)).collect();
        run_static_checks(input, &files, options, threads, &mut recorder)?;
        let engines = if needs_engines { input.engines(options) } else { Vec::new() };
        let companions = match engines.is_empty() {
            true => BTreeMap::new(),
            false => input.companions(&files, threads)?,
        };
        let trial = Trial { input, files: &files, companions: &companions };
        for engine in &engines {
            if !guests.contains_key(engine) {
                guests.insert(engine.clone(), guest_of(engine, options, &mut recorder).await);
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
    let (seconds, deny_skips) = (begin.elapsed().as_secs_f64(), options.deny_skips);
    Ok(Verdict { started, seconds, deny_skips, ..recorder.verdict })
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
        let mut cases = match input.engines(options).is_empty() {
            true => input.image.static_checks(expectations, folder)?,
            false => input.image.archive_checks(expectations, folder)?,
        };
        // They run together, so that each one has its share of the time.
        let share = begin.elapsed().as_secs_f64() / cases.len().max(1) as f64;
        cases.iter_mut().for_each(|case| case.seconds = share);
        if expectations.image.reproducible == Some(true)
            && recorder.selects(static_checks::REPRODUCIBLE)
        {
            recorder.progress(format!("building {image} again"));
            let begin = Instant::now();
            let case = input.reproducible_build(threads)?;
            cases.push(TestCase { seconds: begin.elapsed().as_secs_f64(), ..case });
        }
        if options.engines.is_empty() {
            cases.extend(runtime_checks::all_skipped(&image, expectations, NO_ENGINE));
        }
        // The filter also excludes errors: these are about a file, not about an engine.
        for case in cases.into_iter().filter(|case| options.selects_part(&case.name)) {
            recorder.record(TestCase { image: image.clone(), ..case });
        }
    }
    Ok(())
}

/// Returns the guest of an engine. Unless its VM is running already, it is assembled and its
/// snapshot made, if they are missing. Returns the reason if that fails, because the other engines
/// can still run.
async fn guest_of(
    engine: &str,
    options: &Options,
    recorder: &mut Recorder<'_>,
) -> Result<Guest, String> {
    if options.named_vm.is_some() {
        return locate(engine, &Sources::default()).map_err(|error| chain(&error));
    }
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

impl CheckInput {
    /// Returns the engines of the input's architecture.
    fn engines(&self, options: &Options) -> Vec<String> {
        let same_arch = |engine: &&String| arch_of(engine) == self.platform.arch;
        options.engines.iter().filter(same_arch).cloned().collect()
    }
}
