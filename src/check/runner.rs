//! Holds images against expectations: first what the archive alone tells, then, engine by engine, in a pristine machine
//! for each image, what a daemon and its containers tell. Nothing is printed here; who wants to know is told events.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::StreamExt;

use super::static_checks::{ImageUnderTest, left_out};
use super::verdict::{Checks, EngineRun, LOADED, Outcome, TestCase, Verdict};
use super::{CheckError, Expectations, runtime_checks};
use crate::archive::{Compression, ImageSelector};
use crate::build::assemble::Output;
use crate::build::{CacheUse, Format, Options as BuildOptions, Recipe, assemble, plan};
use crate::engine::EngineError;
use crate::errors;
use crate::harness::{Daemon, HarnessError};
use crate::image::Platform;
use crate::image::platform::Arch;
use crate::vm::guest::Api;
use crate::vm::{Definition, Options as VmOptions};

/// An image on trial.
#[derive(Debug)]
pub struct CheckInput {
    /// The architecture of the engines that it is tried on. The image is that for it, where there are several.
    pub arch: Arch,
    /// The archive.
    pub archive: PathBuf,
    /// What is in it.
    pub subject: ImageUnderTest,
    /// Where it was built from, if it was.
    pub recipe: Option<PathBuf>,
    // Holds a built archive.
    _folder: Option<tempfile::TempDir>,
}

/// A file of expectations.
#[derive(Clone, Debug)]
pub struct ExpectationFile {
    /// What is expected.
    pub expectations: Expectations,
    /// The folder that paths in it are relative to.
    pub folder: PathBuf,
}

/// How a trial is held.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The engines; none for what the archive alone tells.
    pub engines: Vec<String>,
    /// Why some of them cannot be had.
    pub unavailable: BTreeMap<String, String>,
    /// Only cases whose name has this.
    pub filter: Option<String>,
    /// How machines are started.
    pub machine: VmOptions,
}

/// What is told while a trial is held.
#[derive(Debug)]
pub enum Event<'a> {
    /// Something that takes a while begins.
    Doing(String),
    /// The cases that follow are of this image, and of what this machine tells where there is one.
    Part(&'a str, Option<&'a EngineRun>),
    /// A case has ended.
    TestCase(&'a TestCase),
}

/// Who is told.
pub type Reporter<'a> = &'a mut (dyn FnMut(Event<'_>) + Send);

impl CheckInput {
    /// The image in the archive, or folder, at `path`.
    ///
    /// # Errors
    /// When there is none for `arch`, or it is broken.
    pub fn of_archive(path: &Path, arch: Arch, threads: usize) -> Result<Self, CheckError> {
        let choice = ImageSelector {
            platform: Some(Platform { arch, variant: None }),
            ..ImageSelector::default()
        };
        let subject = ImageUnderTest::open(path, &choice, threads)?;
        Ok(Self { arch, archive: path.to_owned(), subject, recipe: None, _folder: None })
    }

    /// The image that the recipe at `path` makes.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn of_recipe(
        path: &Path,
        arch: Arch,
        threads: usize,
        cache: CacheUse,
    ) -> Result<Self, CheckError> {
        let folder = tempfile::TempDir::with_prefix("seatrial-").map_err(built)?;
        let archive = folder.path().join("image.tar");
        build(path, arch, &archive, threads, cache)?;
        let subject = ImageUnderTest::open(&archive, &ImageSelector::default(), threads)?;
        Ok(Self { arch, archive, subject, recipe: Some(path.to_owned()), _folder: Some(folder) })
    }

    /// What it is called, with its architecture where that is not the host's.
    fn name(&self) -> String {
        match self.arch == Platform::host().arch {
            true => self.subject.name(),
            false => format!("{} ({})", self.subject.name(), self.arch),
        }
    }

    /// The engines of its architecture.
    fn engines(&self, options: &Options) -> Vec<String> {
        let fits = |engine: &&String| arch_of(engine) == self.arch;
        options.engines.iter().filter(fits).cloned().collect()
    }

    /// Whether building it again gives the same image.
    fn reproduced(&self, threads: usize) -> Result<TestCase, CheckError> {
        let (name, what) = (self.name(), "reproducible build");
        let Some(recipe) = &self.recipe else {
            let reason = "it is an archive; give its recipe instead".to_owned();
            return Ok(TestCase {
                outcome: Outcome::Skipped { reason },
                ..TestCase::finished(&name, what, Checks::default())
            });
        };
        let again = Self::of_recipe(recipe, self.arch, threads, CacheUse::Verify)?;
        let mut checks = Checks::default();
        checks.expect_equal(
            "id",
            &self.subject.image.id().to_string(),
            &again.subject.image.id().to_string(),
        );
        Ok(TestCase::finished(&name, what, checks))
    }
}

/// The architecture of the machines that `engine` runs in.
pub fn arch_of(engine: &str) -> Arch {
    Definition::named(engine)
        .map_or(Platform::host().arch, |definition| definition.machine_type.arch)
}

/// Whether `engine` makes a pod around each container, which takes twice as long.
fn makes_pods(engine: &str) -> bool {
    Definition::named(engine).is_ok_and(|definition| definition.family.api == Api::Cri)
}

fn built(source: std::io::Error) -> crate::archive::ArchiveError {
    crate::archive::ArchiveError::Write { target: "the image".to_owned(), source }
}

fn build(
    recipe: &Path,
    arch: Arch,
    archive: &Path,
    threads: usize,
    cache: CacheUse,
) -> Result<(), CheckError> {
    let plan = plan(Recipe::read_for(recipe, arch)?, threads)?;
    let file = std::fs::File::create_new(archive).map_err(built)?;
    let options =
        BuildOptions { format: Format::Docker, compression: Compression::None, threads, cache };
    assemble(&plan, options, Output::File(&file), &mut |_| ())?;
    Ok(())
}

/// Holds every one of `trials` against every one of `papers`, on the engines of its architecture.
///
/// # Errors
/// When an image that was read cannot be read again. What fails in a machine is a case that ended in an error.
pub async fn run(
    trials: &[CheckInput],
    papers: &[ExpectationFile],
    options: &Options,
    threads: usize,
    tell: Reporter<'_>,
) -> Result<Verdict, CheckError> {
    let (begin, mut verdict) = (Instant::now(), Verdict::default());
    let papers: Vec<ExpectationFile> = papers.iter().map(|paper| paper.filtered(options)).collect();
    for trial in trials {
        let name = trial.name();
        tell(Event::Part(&name, None));
        for paper in &papers {
            let began = Instant::now();
            let mut cases = trial.subject.cases(&paper.expectations, &paper.folder)?;
            if paper.expectations.image.reproducible == Some(true) {
                tell(Event::Doing(format!("building {name} again")));
                cases.push(trial.reproduced(threads)?);
            }
            if options.engines.is_empty() {
                cases.extend(left_out(&name, &paper.expectations, "it needs an engine"));
            }
            for case in cases {
                let seconds = began.elapsed().as_secs_f64();
                keep(
                    &mut verdict,
                    options,
                    TestCase { seconds, image: name.clone(), ..case },
                    tell,
                );
            }
        }
        match &*trial.engines(options) {
            [engine] => on_engine(trial, &papers, engine, options, &mut verdict, tell).await,
            engines => side_by_side(trial, &papers, engines, options, &mut verdict, tell).await,
        }
    }
    verdict.seconds = begin.elapsed().as_secs_f64();
    Ok(verdict)
}

fn keep(verdict: &mut Verdict, options: &Options, case: TestCase, tell: Reporter<'_>) {
    // An engine that could not be had is told whatever was filtered for.
    if options.fits(&case.name) || matches!(case.outcome, Outcome::Error { .. }) {
        add(verdict, case, tell);
    }
}

fn add(verdict: &mut Verdict, case: TestCase, tell: Reporter<'_>) {
    tell(Event::TestCase(&case));
    verdict.cases.push(case);
}

/// All engines at once, as far as the machine's budget goes; told of one after the other, in order.
async fn side_by_side(
    trial: &CheckInput,
    papers: &[ExpectationFile],
    engines: &[String],
    options: &Options,
    verdict: &mut Verdict,
    tell: Reporter<'_>,
) {
    if !engines.is_empty() {
        tell(Event::Doing(format!("{} on {} engines", trial.subject.name(), engines.len())));
    }
    // Those that take longest get their turn first, so that none of them runs alone in the end.
    let mut order: Vec<usize> = (0..engines.len()).collect();
    order.sort_by_key(|number| !makes_pods(&engines[*number]));
    let held = order.into_iter().map(|number| async move {
        let mut own = Verdict::default();
        on_engine(trial, papers, &engines[number], options, &mut own, &mut |_| ()).await;
        (number, own)
    });
    let mut held = futures_util::stream::iter(held).buffer_unordered(engines.len().max(1));
    let (mut ended, mut next) = (BTreeMap::new(), 0);
    while let Some((number, own)) = held.next().await {
        ended.insert(number, own);
        while let Some(own) = ended.remove(&next) {
            next += 1;
            own.engine_runs
                .iter()
                .for_each(|stage| tell(Event::Part(&trial.subject.name(), Some(stage))));
            own.cases.iter().for_each(|case| tell(Event::TestCase(case)));
            verdict.engine_runs.extend(own.engine_runs);
            verdict.cases.extend(own.cases);
        }
    }
}

async fn on_engine(
    trial: &CheckInput,
    papers: &[ExpectationFile],
    engine: &str,
    options: &Options,
    verdict: &mut Verdict,
    tell: Reporter<'_>,
) {
    let name = trial.subject.name();
    let failed = |error: &HarnessError| {
        let outcome = Outcome::Error { problem: errors::chain(error) };
        TestCase {
            outcome,
            ..TestCase::finished(&name, "the engine", Checks::default())
                .on_engine(engine, std::time::Duration::ZERO)
        }
    };
    tell(Event::Doing(format!("starting {engine}")));
    if let Some(problem) = options.unavailable.get(engine) {
        let outcome = Outcome::Error { problem: problem.clone() };
        let case = TestCase::finished(&name, "the engine", Checks::default())
            .on_engine(engine, std::time::Duration::ZERO);
        return keep(verdict, options, TestCase { outcome, ..case }, tell);
    }
    let daemon = match Daemon::start(engine, options.machine.clone()).await {
        Ok(daemon) => daemon,
        Err(error) => return keep(verdict, options, failed(&error), tell),
    };
    tell(Event::Doing(format!("loading {name} into {engine}")));
    let began = Instant::now();
    let image = match daemon
        .load_opened(&trial.archive, &trial.subject.image, &trial.subject.sizes)
        .await
    {
        Ok(image) => image,
        // The engine is fine, and will not have it: that is what engines are asked for.
        Err(HarnessError::Engine(EngineError::Load(problem))) => {
            let mut checks = Checks::default();
            checks.record("its load", "the engine takes it", problem, false);
            // Whatever was filtered for: nothing of it can be looked at.
            return add(
                verdict,
                TestCase::finished(&name, LOADED, checks).on_engine(engine, began.elapsed()),
                tell,
            );
        }
        Err(error) => return keep(verdict, options, failed(&error), tell),
    };
    let stage = EngineRun {
        engine: engine.to_owned(),
        version: daemon.engine().version().await.unwrap_or_default(),
        timeline: daemon.timeline().events().to_vec(),
        fallback: daemon.fallback().map(str::to_owned),
        load_seconds: began.elapsed().as_secs_f64(),
    };
    tell(Event::Part(&name, Some(&stage)));
    verdict.engine_runs.push(stage);
    let (architecture, machine) = (&trial.subject.image.config.architecture, trial.arch.goarch());
    for paper in papers {
        let runnable = match architecture == machine {
            true => Ok(()),
            false => {
                Err(format!("the image is for {architecture}, the engine's machine is {machine}"))
            }
        };
        let mut each = |case: TestCase| keep(verdict, options, case, tell);
        runtime_checks::cases(&image, engine, &paper.expectations, runnable, &mut each).await;
    }
}

impl Options {
    fn fits(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|part| name.contains(part))
    }
}

impl ExpectationFile {
    /// Without the runs and services that the filter leaves out: they take time.
    fn filtered(&self, options: &Options) -> Self {
        let mut paper = self.clone();
        paper.expectations.run.retain(|run| options.fits(&format!("run {}", run.name)));
        paper
            .expectations
            .service
            .retain(|service| options.fits(&format!("service {}", service.name)));
        paper
    }
}
