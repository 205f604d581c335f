//! `seatrial check`: images on trial.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::exit::{ENVIRONMENT, Ended, NOT_AS_EXPECTED, Usage};
use super::report::Report;
use super::{is_recipe, threads};
use crate::build::CacheUse;
use crate::check::{self, CheckInput, Event, ExpectationFile, Options, arch_of};
use crate::check::{Expectations, Verdict};
use crate::image::Platform;
use crate::image::platform::Arch;
use crate::report::{html, junit, tally, terminal};
use crate::vm::AcceleratorChoice;
use crate::vm::{Definition, Options as VmOptions};

/// Holds images against expectations: their archives, and what real engines make of them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial check app.tar --expect app.expect.toml
  seatrial check app.toml --expect a.toml --report html=report.html
  seatrial check app.tar --expect a.toml --no-vm     milliseconds

Expectations, for a start:
  [image]
  architecture = \"amd64\"
  [env]
  has = { LAST_LAYER = \"child\" }
  [[run]]
  name = \"says hello\"
  container = { command = [\"/bin/hello\"] }
  stdout = \"hello\\n\"

Exit codes: 0 all as expected, 1 something is not, 2 bad input, 3 an engine
could not be had.")]
pub(super) struct Args {
    /// Images (archives, OCI layouts) or recipes (.toml, .json), which are built
    #[arg(required_unless_present = "schema")]
    images: Vec<PathBuf>,
    /// A file of expectations, TOML or JSON; every image is held against each
    #[arg(long, value_name = "FILE")]
    expect: Vec<PathBuf>,
    /// An engine to try them on: a name of `seatrial vm list`, `docker` for every
    /// one of that kind, or `all`; `-arm64` behind it for machines of that
    /// architecture [default: docker-20.10]
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// Checks only at what the archives tell, and say what that leaves out
    #[arg(long, conflicts_with = "engine")]
    no_vm: bool,
    /// Only cases whose name has this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Also write a report: junit=FILE, html=FILE, json=FILE (one object) or jsonl=FILE (a line a case)
    #[arg(long, value_name = "KIND=FILE", value_parser = report)]
    report: Vec<Report>,
    /// Print the verdict as one JSON object instead
    #[arg(long)]
    json: bool,
    /// Print the JSON schema of expectations
    #[arg(long)]
    schema: bool,
    /// kvm, tcg, or auto: KVM where it really boots a guest
    #[arg(long, default_value = "auto")]
    accel: AcceleratorChoice,
}

/// The kinds of reports there are.
const REPORTS: [&str; 4] = ["junit", "json", "jsonl", "html"];

fn report(text: &str) -> Result<Report, String> {
    Report::parse(&REPORTS, text)
}

fn write(report: &Report, verdict: &Verdict) -> anyhow::Result<()> {
    report.write(&match report.kind {
        "junit" => junit::xml(verdict)?,
        "json" => serde_json::to_string_pretty(verdict)?,
        "jsonl" => {
            let lines: Result<Vec<String>, _> =
                verdict.cases.iter().map(serde_json::to_string).collect();
            lines?.join("\n") + "\n"
        }
        _ => html::page(verdict),
    })
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.schema {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&Expectations::schema())?)?;
        return Ok(());
    }
    if args.expect.is_empty() {
        return Err(Usage("nothing is expected; give --expect FILE").into());
    }
    let papers = args.expect.iter().map(|path| paper(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let threads = threads(None);
    let engines = if args.no_vm { Vec::new() } else { meant(&args.engine)? };
    let archs = archs(&engines);
    let trials = args
        .images
        .iter()
        .flat_map(|path| archs.iter().map(move |arch| trial(path, *arch, threads)));
    let trials = trials.collect::<anyhow::Result<Vec<_>>>()?;
    // CachedLayer before anything is started, and told how far it is. One that cannot be had fails alone.
    let mut unavailable = BTreeMap::new();
    for engine in &engines {
        if let Err(error) = super::vm::ready(engine, args.accel) {
            unavailable.insert(engine.clone(), format!("{error:#}"));
        }
    }
    let machine = VmOptions { accelerator: args.accel, ..VmOptions::default() };
    let options = Options { engines, unavailable, filter: args.filter.clone(), machine };
    let line = ProgressBar::new_spinner();
    let quiet = args.json;
    let mut tell = |event: Event<'_>| match event {
        Event::Doing(what) => {
            line.set_message(what);
            line.enable_steady_tick(std::time::Duration::from_millis(120));
        }
        Event::Part(image, stage) => show(&line, quiet, &terminal::part(image, stage)),
        Event::TestCase(case) => show(&line, quiet, &terminal::case(case)),
    };
    let verdict = super::vm::block_on(interruptible(check::run(
        &trials, &papers, &options, threads, &mut tell,
    )))?;
    line.finish_and_clear();
    args.report.iter().try_for_each(|report| write(report, &verdict))?;
    let counts = verdict.tally();
    match quiet {
        true => writeln!(io::stdout(), "{}", serde_json::to_string(&verdict)?)?,
        false => writeln!(io::stdout(), "{}", tally(counts, verdict.seconds))?,
    }
    match (counts.errors, counts.failed) {
        (0, 0) => Ok(()),
        (0, _) => Err(Ended(NOT_AS_EXPECTED).into()),
        _ => Err(Ended(ENVIRONMENT).into()),
    }
}

/// The engines that were asked for, each once.
pub(super) fn meant(asked: &[String]) -> anyhow::Result<Vec<String>> {
    if asked.is_empty() {
        return Ok(vec!["docker-20.10".to_owned()]);
    }
    let mut engines: Vec<String> = Vec::new();
    for name in asked {
        for engine in Definition::matching(name)? {
            if !engines.contains(&engine) {
                engines.push(engine);
            }
        }
    }
    Ok(engines)
}

/// The architectures of `engines`; the host's where there are none.
fn archs(engines: &[String]) -> BTreeSet<Arch> {
    let host = engines.is_empty().then(|| Platform::host().arch);
    engines.iter().map(|engine| arch_of(engine)).chain(host).collect()
}

/// Ends on Ctrl-C and SIGTERM as if by itself, so that machines are dropped.
pub(super) async fn interruptible<T, E>(
    doing: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T>
where
    anyhow::Error: From<E>,
{
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        done = doing => Ok(done?),
        _ = tokio::signal::ctrl_c() => Err(Ended(130).into()),
        _ = terminate.recv() => Err(Ended(143).into()),
    }
}

fn show(line: &ProgressBar, quiet: bool, text: &str) {
    if !quiet {
        // Whoever reads it may have gone; the exit code still tells.
        line.suspend(|| drop(write!(io::stdout(), "{text}")));
    }
}

fn paper(path: &Path) -> anyhow::Result<ExpectationFile> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok(ExpectationFile { expectations: Expectations::read(path)?, folder })
}

fn trial(path: &Path, arch: Arch, threads: usize) -> anyhow::Result<CheckInput> {
    Ok(if is_recipe(path) {
        CheckInput::of_recipe(path, arch, threads, CacheUse::On)?
    } else {
        CheckInput::of_archive(path, arch, threads)?
    })
}
