//! `seatrial check`: tests images against expectations.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::{
    AccessArgs, LimitArgs, ReportFile, is_recipe, selected_engines, thread_count,
    warn_of_cache_problem,
};
use super::exit::{ExitWith, UsageError};
use super::images::Access;
use super::progress::StatusLine;
use super::runtime::{block_on, interruptible};
use super::streams::{json, pretty_json, stdout};
use crate::archive::ImageSelector;
use crate::build::CacheUse;
use crate::check::{self, CheckInput, Event, ExpectationsFile, Options, arch_of};
use crate::check::{Expectations, Verdict};
use crate::image::Platform;
use crate::report::{html, junit, markdown, tally, terminal};
use crate::vm::{AcceleratorChoice, Options as VmOptions};

/// Tests images against expectations, on real engines
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial check app.tar --expect app.expect.toml
  seatrial check app.toml --expect a.toml --report html=report.html
  seatrial check app.tar --expect a.toml --no-vm   # in milliseconds
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
  1  a test case failed
  2  bad input or usage
  3  an engine failed, or could not be started")]
pub(super) struct Args {
    /// Images as for inspect, or recipes (.toml, .json) to build
    #[arg(value_name = "IMAGE", required_unless_present = "schema")]
    images: Vec<PathBuf>,
    /// Expectations file, TOML or JSON; may be repeated
    #[arg(long, value_name = "FILE")]
    expect: Vec<PathBuf>,
    /// Engine: a guest of `seatrial vm list`, a family such as `docker`, or
    /// `all`; with `-arm64` appended, on that architecture; may be repeated
    /// [default: docker-20.10]
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// Select one of several platforms [default: those of the engines]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Run static checks only; report engine checks as skipped
    #[arg(long, conflicts_with = "engine")]
    no_vm: bool,
    /// Run only test cases whose name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
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
    if args.expect.is_empty() {
        return Err(UsageError("there are no expectations; give --expect FILE").into());
    }
    let verdict = verdict(args)?;
    args.report.iter().try_for_each(|report| write_report(report, &verdict))?;
    let counts = verdict.tally();
    match args.json {
        true => writeln!(stdout(), "{}", json(&verdict)?)?,
        false => writeln!(stdout(), "{}", tally(counts, verdict.seconds))?,
    }
    match (counts.errors, counts.failed) {
        (0, 0) => Ok(()),
        (0, _) => Err(ExitWith::NOT_AS_EXPECTED.into()),
        _ => Err(ExitWith::ENVIRONMENT.into()),
    }
}

/// Runs all checks and prints test cases as they end.
fn verdict(args: &Args) -> anyhow::Result<Verdict> {
    let expectations = args.expect.iter().map(|path| ExpectationsFile::read(path));
    let expectations = expectations.collect::<Result<Vec<_>, _>>()?;
    let threads = thread_count(None);
    let engines = if args.no_vm { Vec::new() } else { selected_engines(&args.engine)? };
    let platforms = platforms(&engines, args.platform.as_ref())?;
    let platforms = platforms.iter();
    let access = args.access.access(true);
    let inputs = args
        .images
        .iter()
        .flat_map(|path| platforms.clone().map(move |platform| (path, platform)))
        .map(|(path, platform)| input(args, &access, path, platform, threads));
    let inputs = inputs.collect::<anyhow::Result<Vec<_>>>()?;
    let vm = VmOptions { accelerator: args.accel, ..VmOptions::default() };
    let options = Options { engines, filter: args.filter.clone(), vm };
    let line = StatusLine::new();
    let mut report = |event: Event<'_>| match event {
        Event::Progress(status) => line.set(status),
        Event::Section(image, run) => print(&line, args.json, &terminal::heading(image, run)),
        Event::TestCase(case) => print(&line, args.json, &terminal::test_case(case)),
    };
    block_on(interruptible(check::run(&inputs, &expectations, &options, threads, &mut report)))
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

fn print(line: &StatusLine, quiet: bool, text: &str) {
    if !quiet {
        // If the reader has gone, the exit code still reports the result.
        line.print_above(|| drop(write!(stdout(), "{text}")));
    }
}

fn input(
    args: &Args,
    access: &Access<'_>,
    path: &Path,
    platform: &Platform,
    threads: usize,
) -> anyhow::Result<CheckInput> {
    let (platform, limits) = (platform.clone(), args.limits.limits());
    Ok(if is_recipe(path) {
        warn_of_cache_problem();
        CheckInput::from_recipe(path, platform, limits, threads, CacheUse::On)?
    } else {
        let selector =
            ImageSelector { platform: Some(platform.clone()), limits, ..ImageSelector::default() };
        let image = access.open(path, &selector)?.fetched()?;
        CheckInput::from_image(image, platform, threads)?
    })
}
