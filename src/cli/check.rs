//! `seatrial check`: images on trial.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use indicatif::ProgressBar;

use super::exit::{ENVIRONMENT, Ended, NOT_AS_EXPECTED, Usage};
use super::{is_recipe, threads};
use crate::build::CacheUse;
use crate::build::output::OutputFile;
use crate::trial::check::{Event, Options, Paper, Trial, hold};
use crate::trial::report::{self, html, junit, terminal};
use crate::trial::{Expectations, Verdict};
use crate::vm::Options as MachineOptions;
use crate::vm::accelerator::Wish;

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
    /// An engine to try them on; see `seatrial vm list` [default: docker-20.10]
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// Look only at what the archives tell, and say what that leaves out
    #[arg(long, conflicts_with = "engine")]
    no_vm: bool,
    /// Only cases whose name has this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Also write a report: junit=FILE, html=FILE, json=FILE (one object) or jsonl=FILE (a line a case)
    #[arg(long, value_name = "KIND=FILE")]
    report: Vec<Report>,
    /// Print the verdict as one JSON object instead
    #[arg(long)]
    json: bool,
    /// Print the JSON schema of expectations
    #[arg(long)]
    schema: bool,
    /// kvm, tcg, or auto: KVM where it really boots a guest
    #[arg(long, default_value = "auto")]
    accel: Wish,
}

#[derive(Clone, Debug)]
struct Report {
    kind: Kind,
    file: PathBuf,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Junit,
    Json,
    JsonLines,
    Html,
}

impl FromStr for Report {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, file) = text.split_once('=').unwrap_or((text, ""));
        let kind = match kind {
            "junit" => Kind::Junit,
            "json" => Kind::Json,
            "jsonl" => Kind::JsonLines,
            "html" => Kind::Html,
            other => return Err(format!("{other:?} must be junit, json, jsonl or html")),
        };
        if file.is_empty() {
            return Err(format!("{text:?} names no file; write {text}=FILE"));
        }
        Ok(Self { kind, file: file.into() })
    }
}

impl Report {
    fn write(&self, verdict: &Verdict) -> anyhow::Result<()> {
        let text = match self.kind {
            Kind::Junit => junit::xml(verdict)?,
            Kind::Json => serde_json::to_string_pretty(verdict)?,
            Kind::JsonLines => {
                let lines: Result<Vec<String>, _> = verdict.cases.iter().map(serde_json::to_string).collect();
                lines?.join("\n") + "\n"
            }
            Kind::Html => html::page(verdict),
        };
        let output = OutputFile::beside(&self.file)?;
        let written = output.file().write_all(text.as_bytes());
        written.with_context(|| format!("cannot write {}", self.file.display()))?;
        Ok(output.persist()?)
    }
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
    let trials = args.images.iter().map(|path| trial(path, threads)).collect::<anyhow::Result<Vec<_>>>()?;
    let engines = match (args.no_vm, args.engine.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => vec!["docker-20.10".to_owned()],
        (false, false) => args.engine.clone(),
    };
    for engine in &engines {
        // Known before anything is started, and told how far it is.
        super::vm::ready(engine, args.accel)?;
    }
    let machine = MachineOptions { accelerator: args.accel, ..MachineOptions::default() };
    let options = Options { engines, filter: args.filter.clone(), machine };
    let line = ProgressBar::new_spinner();
    let quiet = args.json;
    let mut tell = |event: Event<'_>| match event {
        Event::Doing(what) => {
            line.set_message(what);
            line.enable_steady_tick(std::time::Duration::from_millis(120));
        }
        Event::Part(image, stage) => show(&line, quiet, &terminal::part(image, stage)),
        Event::Case(case) => show(&line, quiet, &terminal::case(case)),
    };
    let verdict = super::vm::block_on(interruptible(hold(&trials, &papers, &options, threads, &mut tell)))?;
    line.finish_and_clear();
    args.report.iter().try_for_each(|report| report.write(&verdict))?;
    let tally = verdict.tally();
    match quiet {
        true => writeln!(io::stdout(), "{}", serde_json::to_string(&verdict)?)?,
        false => writeln!(io::stdout(), "{}", report::tally(tally, verdict.seconds))?,
    }
    match (tally.errors, tally.failed) {
        (0, 0) => Ok(()),
        (0, _) => Err(Ended(NOT_AS_EXPECTED).into()),
        _ => Err(Ended(ENVIRONMENT).into()),
    }
}

/// Ends on Ctrl-C and SIGTERM as if by itself, so that machines are dropped.
pub(super) async fn interruptible<T, E>(doing: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
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

fn paper(path: &Path) -> anyhow::Result<Paper> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok(Paper { expectations: Expectations::read(path)?, folder })
}

fn trial(path: &Path, threads: usize) -> anyhow::Result<Trial> {
    Ok(if is_recipe(path) {
        Trial::of_recipe(path, threads, CacheUse::On)?
    } else {
        Trial::of_archive(path, threads)?
    })
}
