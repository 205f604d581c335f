//! `seatrial replay`: what goes wrong while daemons start, policy by policy.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;

use super::check::{interruptible, meant};
use super::exit::{ENVIRONMENT, Ended, NOT_AS_EXPECTED};
use super::report::Report;
use super::vm::{block_on, prepare};
use crate::replay::{Event, Options, Replay, Scenario, WaitStrategy, replay};
use crate::report::replays;
use crate::vm::AcceleratorChoice;
use crate::vm::Definition;
use crate::vm::guest::assemble::Sources;

/// Replays an engine's start in which something goes wrong, for every way to wait
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial replay --list
  seatrial replay original
  seatrial replay original --policy unit:sockets.target --policy ready --runs 20
  seatrial replay my-scenario.toml --timeline

Policies: none, unit:NAME.TYPE, socket-exists, connects, ping, and ready, which
is how seatrial itself waits.

Exit codes: 0 replayed, 1 ready was said and the client failed all the same,
2 bad input, 3 an engine could not be had or never got ready.")]
pub(super) struct Args {
    /// Scenarios: names of those that are built in, or files
    #[arg(required_unless_present = "list", value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// List the scenarios that are built in; with --engine, those that can happen to it
    #[arg(long)]
    list: bool,
    /// A way to wait [default: all]
    #[arg(long, value_name = "POLICY")]
    policy: Vec<WaitStrategy>,
    /// An engine: a name of `seatrial vm list`, `podman` for every one of that kind,
    /// or `all` to which it can happen [default: docker-20.10]
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// How often each
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// How long a policy may wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u64,
    /// Also print what was true when
    #[arg(long)]
    timeline: bool,
    /// Also write a report: html=FILE or json=FILE
    #[arg(long, value_name = "KIND=FILE", value_parser = report)]
    report: Vec<Report>,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
    /// kvm, tcg, or auto: KVM where it really boots a guest
    #[arg(long, default_value = "auto")]
    accel: AcceleratorChoice,
}

fn report(text: &str) -> Result<Report, String> {
    Report::parse(&["html", "json"], text)
}

/// Which scenario is replayed on which of the engines that were asked for. Not every one can happen to every engine;
/// where one was asked for by its name, that is told.
fn pairs<'a>(
    scenarios: &'a [Scenario],
    asked: &[String],
) -> anyhow::Result<Vec<(&'a Scenario, String)>> {
    let (engines, mut pairs) = (meant(asked)?, Vec::new());
    for scenario in scenarios {
        let (name, kinds) = (&scenario.name, scenario.families().collect::<Vec<_>>().join(", "));
        let before = pairs.len();
        for engine in &engines {
            if scenario.is_on(&Definition::named(engine)?.family.name) {
                pairs.push((scenario, engine.clone()));
            } else if asked.contains(engine) {
                bail!("{name} cannot happen to {engine}; it does to: {kinds}");
            }
        }
        if pairs.len() == before {
            bail!("{name} cannot happen to any of {}; it does to: {kinds}", asked.join(", "));
        }
    }
    Ok(pairs)
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.list {
        return list(&args.engine);
    }
    let scenarios =
        args.scenarios.iter().map(|name| Scenario::named(name)).collect::<Result<Vec<_>, _>>()?;
    let pairs = pairs(&scenarios, &args.engine)?;
    let mut guests = BTreeMap::new();
    for (_, engine) in &pairs {
        if let Entry::Vacant(entry) = guests.entry(engine) {
            entry.insert(prepare::assemble(engine, &Sources::default())?);
        }
    }
    let options = Options {
        policies: args.policy.clone(),
        runs: args.runs.into(),
        patience: Duration::from_secs(args.patience),
        accelerator: args.accel,
    };
    let line = ProgressBar::new_spinner();
    // What was found before it was stopped took long to find.
    let (mut all, mut stopped) = (Vec::new(), None);
    for (scenario, engine) in &pairs {
        let guest = &guests[engine];
        let mut replayed = Replay::of_none(scenario, guest);
        let mut tell = |event: Event<'_>| match event {
            Event::Doing(what) => {
                line.set_message(what);
                line.enable_steady_tick(Duration::from_millis(120));
            }
            Event::Run(run) => replayed.runs.push(run.clone()),
        };
        let done = block_on(interruptible(replay(scenario, guest, &options, &mut tell)));
        if !replayed.runs.is_empty() {
            line.suspend(|| if args.json { Ok(()) } else { show(&replayed, args.timeline) })?;
            all.push(replayed);
        }
        if let Err(error) = done {
            stopped = Some(error);
            break;
        }
    }
    line.finish_and_clear();
    let json = serde_json::json!({ "replays": all });
    if args.json {
        writeln!(io::stdout(), "{json}")?;
    }
    for report in &args.report {
        report.write(&if report.kind == "html" {
            replays::page(&all)
        } else {
            format!("{json:#}\n")
        })?;
    }
    stopped.map_or_else(|| ended(&all), Err)
}

fn ended(all: &[Replay]) -> anyhow::Result<()> {
    if all.iter().any(Replay::broken_promise) {
        return Err(Ended(NOT_AS_EXPECTED).into());
    }
    match all.iter().any(Replay::unknown) {
        true => Err(Ended(ENVIRONMENT).into()),
        false => Ok(()),
    }
}

fn show(replayed: &Replay, timeline: bool) -> io::Result<()> {
    let mut out = io::stdout();
    write!(
        out,
        "{}",
        replays::head(&format!("{}: {}", replayed.scenario, replayed.title), &replayed.engine)
    )?;
    for policy in replayed.policies() {
        write!(out, "{}", replays::policy(replayed, policy))?;
    }
    write!(out, "{}", replays::foot(replayed))?;
    if timeline {
        write!(out, "{}", replays::timelines(replayed))?;
    }
    Ok(())
}

/// The scenarios that can happen to all of the engines that were asked for, with the families that they can happen to.
fn list(asked: &[String]) -> anyhow::Result<()> {
    let engines = if asked.is_empty() { Vec::new() } else { meant(asked)? };
    let families = engines.iter().map(|engine| Ok(Definition::named(engine)?.family.name));
    let families = families.collect::<anyhow::Result<Vec<_>>>()?;
    for name in Scenario::names() {
        let scenario = Scenario::named(name)?;
        if families.iter().all(|family| scenario.is_on(family)) {
            let kinds = scenario.families().collect::<Vec<_>>().join(", ");
            writeln!(io::stdout(), "{name:<22} {}\n{:<22} {kinds}", scenario.title, "")?;
        }
    }
    Ok(())
}
