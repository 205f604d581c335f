//! `seatrial check`: tests images against expectations.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::args::{
    AccessArgs, LimitArgs, ReportFile, ResourceArgs, is_recipe, selected_engines, thread_count,
};
use super::check_inputs::Inputs;
use super::command_line;
use super::exit::{ExitWith, UsageError};
use super::images::location;
use super::overwrite::OutputCheck;
use super::progress::StatusLine;
use super::runtime::{block_on, interruptible};
use super::streams::{json, messages, pretty_json, stderr, stdout};
use super::watch::{Sources, Watcher};
use crate::build::Recipe;
use crate::check::{self, Event, ExpectationsFile, KeptVm, NamedFiles, Options, arch_of};
use crate::check::{Expectations, RunResult, Verdict};
use crate::image::Platform;
use crate::report::{html, junit, limit_values, markdown, summary, terminal};
use crate::text;
use crate::text::errors::chain;
use crate::vm::{AcceleratorChoice, NamedVm, Options as VmOptions};

/// Tests images against expectations, on real engines
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial check app.tar --expect app.expect.toml
  seatrial check app.toml --expect a.toml --report html=report.html
  seatrial check app.tar --expect a.toml --no-vm   # in milliseconds
  seatrial check app.toml --expect a.toml --watch  # again after each change
  seatrial check app.tar --expect structure-test.yaml --report md=summary.md
  seatrial check docker://registry.example/my/app:1.0 --expect app.expect.toml

An expectations file:
  [image]
  architecture = \"amd64\"
  [env]
  has = { LAST_LAYER = \"child\" }
  [[run]]
  name = \"says hello\"
  container = { command = [\"/bin/hello\"] }
  stdout = \"hello\\n\"

Exit codes:
  0  every test case passed or was skipped
  1  a test case failed, or was skipped with --deny-skips
  2  bad input or usage
  3  an engine failed, or could not be started")]
pub(super) struct Args {
    /// Images as for inspect, or recipes (.toml, .json) to build
    #[arg(value_name = "IMAGE", required_unless_present = "schema")]
    images: Vec<PathBuf>,
    /// Expectations file in TOML or JSON, or a file of container-structure-test or
    /// goss; may be repeated
    #[arg(long, value_name = "FILE")]
    expect: Vec<PathBuf>,
    /// Engine: a guest of `seatrial vm list`, a family such as `docker`, or
    /// `all`; with `-arm64` appended, on that architecture; may be repeated
    /// [default: docker-20.10]
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// Select one of several platforms, or set that of a recipe without `platforms`
    /// [default: those of the engines]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Test in the VM that `seatrial vm up` has started under this name, instead
    /// of in VMs of their own
    #[arg(long, value_name = "NAME", conflicts_with_all = ["engine", "no_vm"])]
    vm: Option<String>,
    /// After each run, wait for changes of recipes, contents, archives and
    /// expectations, and run again, in the same VM if possible
    #[arg(long)]
    watch: bool,
    /// Run static checks only; report engine checks as skipped
    #[arg(long, conflicts_with = "engine")]
    no_vm: bool,
    /// Run only test cases whose name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Fail with exit code 1 if a test case is skipped
    #[arg(long)]
    deny_skips: bool,
    /// Also write a report: junit, html, md (Markdown), json (one object) or jsonl
    /// (one line per test case); may be repeated
    #[arg(long, value_name = "KIND=FILE", value_parser = report)]
    report: Vec<ReportFile>,
    /// Print the verdict as one JSON object
    #[arg(long)]
    json: bool,
    /// Print the JSON schema of expectations files
    #[arg(long)]
    schema: bool,
    /// kvm, tcg (emulation), or auto: KVM if it boots a guest on this host
    #[arg(long, default_value = "auto")]
    accel: AcceleratorChoice,
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    access: AccessArgs,
}

fn report(text: &str) -> Result<ReportFile, String> {
    ReportFile::parse(&["junit", "json", "jsonl", "html", "md"], text)
}

fn write_report(report: &ReportFile, verdict: &Verdict) -> anyhow::Result<()> {
    report.write(&match report.kind {
        "junit" => junit::xml(verdict)?,
        "json" => pretty_json(verdict)?,
        "md" => markdown::summary(verdict),
        "jsonl" => {
            let lines: Result<Vec<String>, _> = verdict.cases.iter().map(json).collect();
            lines?.join("\n") + "\n"
        }
        _ => html::check_page(verdict),
    })
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.schema {
        writeln!(stdout(), "{}", pretty_json(&Expectations::schema())?)?;
        return Ok(());
    }
    args.images.iter().try_for_each(|image| args.resources.check_is_not_egress(image))?;
    if args.expect.is_empty() {
        let problem =
            "there are no expectations; give --expect FILE, which seatrial expect IMAGE drafts";
        return Err(UsageError(problem).into());
    }
    let mut outputs = OutputCheck::default();
    args.images.iter().for_each(|image| outputs.add_argument(image));
    for path in &args.expect {
        outputs.add_input(path);
        let named = NamedFiles::of(path);
        named.files.iter().for_each(|path| outputs.add_input(path));
        named.recipes.iter().for_each(|recipe| outputs.add_argument(recipe));
    }
    ReportFile::check_outputs(&args.report, &mut outputs)?;
    args.report.iter().try_for_each(ReportFile::check)?;
    let plan = Plan::new(args)?;
    match args.watch {
        true => block_on(interruptible(watch(args, plan))),
        false => block_on(interruptible(check_once(args, &plan))),
    }
}

/// Runs all checks, prints the verdict and writes reports.
async fn check_once(args: &Args, plan: &Plan) -> anyhow::Result<()> {
    let verdict = verdict(args, plan).await?;
    let mut verdict = Verdict { command: Some(command_line::shown()), ..verdict };
    limit_values(&mut verdict);
    let reported = args.report.iter().map(|report| write_report(report, &verdict));
    let reported: Vec<anyhow::Result<()>> = reported.collect();
    let mut output = ReportFile::results(&args.report);
    match args.json {
        true => writeln!(output, "{}", json(&verdict)?)?,
        false => writeln!(output, "{}", summary(&verdict))?,
    }
    reported.into_iter().collect::<anyhow::Result<()>>()?;
    match verdict.result() {
        RunResult::Passed => Ok(()),
        RunResult::Failed => Err(ExitWith::NOT_AS_EXPECTED.into()),
        RunResult::Undetermined => Err(ExitWith::ENVIRONMENT.into()),
    }
}

/// Runs all checks again after each change, until Ctrl-C.
async fn watch(args: &Args, mut plan: Plan) -> anyhow::Result<()> {
    plan.options.kept_vm = Some(KeptVm::default());
    let reports: Vec<&Path> = args.report.iter().filter_map(ReportFile::path).collect();
    loop {
        let sources = sources(args, &plan);
        if let Some(report) = reports.iter().find(|report| sources.contains(report)) {
            let report = text::path(report);
            bail!("{report} is in a folder that is watched; write the report elsewhere");
        }
        // Before the run, so that changes during the run are noticed.
        let mut watcher = Watcher::new(&sources)?;
        if let Err(error) = check_once(args, &plan).await
            && !error.is::<ExitWith>()
        {
            writeln!(stderr(), "seatrial: {}", text::message(&chain(&*error)))?;
        }
        writeln!(messages(), "waiting for changes; Ctrl-C ends")?;
        let changed = watcher.wait_for_change().await?;
        writeln!(messages(), "\n{} has changed", text::path(&changed))?;
    }
}

/// Returns the files and folders that the result depends on, as far as they are known: those of a
/// recipe or expectations file that cannot be parsed are not.
fn sources(args: &Args, plan: &Plan) -> Sources {
    let mut paths = args.expect.clone();
    let images = args.images.iter().filter_map(|image| location(image).ok());
    paths.extend(images.filter_map(|image| image.path().map(Path::to_owned)));
    let mut recipes: Vec<PathBuf> =
        args.images.iter().filter(|image| is_recipe(image)).cloned().collect();
    for file in &args.expect {
        let named = NamedFiles::of(file);
        paths.extend(named.files);
        recipes.extend(named.recipes);
    }
    for recipe in &recipes {
        paths.push(recipe.to_owned());
        for platform in &plan.platforms {
            if let Ok(recipe) = Recipe::read_for(recipe, platform) {
                paths.extend(recipe.source_paths());
            }
        }
    }
    Sources::new(&paths)
}

/// The engines of a run, and the platforms of its images.
struct Plan {
    options: Options,
    platforms: BTreeSet<Platform>,
}

impl Plan {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let engines = match &args.vm {
            _ if args.no_vm => Vec::new(),
            Some(name) => vec![NamedVm::find(Some(name))?.guest],
            None => selected_engines(&args.engine)?,
        };
        let platforms = platforms(&engines, args.platform.as_ref())?;
        if args.vm.is_some() && !args.resources.is_default() {
            return Err(UsageError(
                "the VM of --vm is running already; give its resources to seatrial vm up",
            )
            .into());
        }
        let vm = VmOptions { accelerator: args.accel, ..VmOptions::default() };
        let vm = args.resources.apply_to(vm);
        let (filter, named_vm) = (args.filter.clone(), args.vm.clone());
        let deny_skips = args.deny_skips;
        let options = Options { engines, filter, deny_skips, vm, named_vm, kept_vm: None };
        Ok(Self { options, platforms })
    }
}

/// Runs all checks and prints test cases as they end.
async fn verdict(args: &Args, plan: &Plan) -> anyhow::Result<Verdict> {
    let expectations = args.expect.iter().map(|path| ExpectationsFile::read(path));
    let expectations = expectations.collect::<Result<Vec<_>, _>>()?;
    let threads = thread_count(None);
    let recipes = expectations.iter().flat_map(ExpectationsFile::recipes);
    let inputs = Inputs {
        images: args.images.clone(),
        recipes: recipes.map(Path::to_owned).collect(),
        platforms: plan.platforms.clone(),
        requested: args.platform.clone(),
        limits: args.limits.limits(),
        access: args.access.clone(),
        only_reads: false,
        threads,
    };
    let inputs = tokio::task::spawn_blocking(move || inputs.open());
    let inputs = inputs.await??;
    let line = StatusLine::new();
    let print = |text: &str| {
        if !args.json {
            let print = || write!(ReportFile::results(&args.report), "{text}");
            // If the reader has gone, the exit code still reports the result.
            let _ = line.print_above(print);
        }
    };
    let mut report = |event: Event<'_>| match event {
        Event::Progress(status) => line.set(status),
        Event::Section(image, run) => print(&terminal::heading(image, run)),
        Event::TestCase(case) => print(&terminal::test_case(case)),
    };
    Ok(check::run(&inputs, &expectations, &plan.options, threads, &mut report).await?)
}

/// Returns the platforms for which images are selected: `requested`, or those of `engines`, or the
/// host's if there are no engines.
fn platforms(
    engines: &[String],
    requested: Option<&Platform>,
) -> Result<BTreeSet<Platform>, UsageError> {
    let archs = engines.iter().map(|engine| arch_of(engine));
    let Some(requested) = requested else {
        let host = engines.is_empty().then(Platform::host);
        return Ok(archs.map(Platform::from).chain(host).collect());
    };
    if !engines.is_empty() && !archs.into_iter().any(|arch| arch == requested.arch) {
        return Err(UsageError(
            "none of the engines has the architecture of --platform; use --no-vm",
        ));
    }
    Ok(BTreeSet::from([requested.clone()]))
}
