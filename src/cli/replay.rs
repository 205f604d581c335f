//! `seatrial replay`: reproduces start-up problems of engines.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::time::Duration;

use anyhow::bail;

use super::args::{ReportFile, number, seconds, selected_engines};
use super::exit::ExitWith;
use super::guests::prepare_guest;
use super::overwrite::OutputCheck;
use super::progress::StatusLine;
use super::runtime::{block_on, interruptible};
use super::streams::{json, pretty_json, stderr, stdout};
use crate::replay::{Event, Options, Replay, Scenario, WaitStrategy, replay};
use crate::report::{html, terminal};
use crate::text;
use crate::vm::pool::PrepareOptions;
use crate::vm::{AcceleratorChoice, Definition, Guest};

/// Reproduces start-up problems of engines, once for every wait strategy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seatrial replay --list
  seatrial replay original
  seatrial replay original --wait unit:sockets.target --wait ready --runs 20
  seatrial replay my-scenario.toml --timeline

Wait strategies: none, unit:NAME.TYPE, socket-exists, connects, ping, and ready,
which seatrial itself uses.

Exit codes:
  0  all scenarios were replayed
  1  reported ready, but the client failed; or, with --compare, an outcome is
     not what the scenario says
  2  bad input or usage
  3  an engine could not be started, or did not become ready")]
pub(super) struct Args {
    /// Names of built-in scenarios, or scenario files
    #[arg(required_unless_present = "list", value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// List built-in scenarios; with --engine, those that apply to that engine
    #[arg(long)]
    list: bool,
    /// Wait strategy; may be repeated [default: all]
    #[arg(long, value_name = "STRATEGY")]
    wait: Vec<WaitStrategy>,
    /// Engine: a guest of `seatrial vm list`, a family such as `podman`, or
    /// `all`; may be repeated [default: docker-20.10]
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// Number of runs of each wait strategy
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = number::<u16>(1, 65_535))]
    runs: u16,
    /// Time limit for a wait strategy
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    #[arg(value_parser = seconds(0))]
    timeout: u64,
    /// Also print the order of events
    #[arg(long)]
    timeline: bool,
    /// Also compare the outcomes with `breaks` in the scenario
    #[arg(long)]
    compare: bool,
    /// Also write a report: html or json; may be repeated
    #[arg(long, value_name = "KIND=FILE", value_parser = report)]
    report: Vec<ReportFile>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// kvm, tcg (emulation), or auto: KVM if it boots a guest on this host
    #[arg(long, default_value = "auto")]
    accel: AcceleratorChoice,
}

fn report(text: &str) -> Result<ReportFile, String> {
    ReportFile::parse(&["html", "json"], text)
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.list {
        return list(&args.engine);
    }
    let scenarios =
        args.scenarios.iter().map(|name| Scenario::named(name)).collect::<Result<Vec<_>, _>>()?;
    ReportFile::check_outputs(&args.report, &mut OutputCheck::default())?;
    let pairs = pairs(&scenarios, &args.engine)?;
    let guests = prepare_guests(&pairs, args.accel)?;
    // Replays take long: if one cannot be finished, those before it are reported.
    let mut replays = Vec::new();
    let result = pairs.iter().try_for_each(|(scenario, engine)| {
        replay_scenario(scenario, &guests[engine.as_str()], args, &mut replays)
    });
    let object = serde_json::json!({ "replays": replays });
    if args.json {
        writeln!(ReportFile::results(&args.report), "{}", json(&object)?)?;
    }
    for report in &args.report {
        report.write(&match report.kind {
            "html" => html::replay_page(&replays),
            _ => pretty_json(&object)? + "\n",
        })?;
    }
    result?;
    let different = args.compare && print_differences(&replays)?;
    if different || replays.iter().any(Replay::ready_but_failed) {
        return Err(ExitWith::NOT_AS_EXPECTED.into());
    }
    match replays.iter().any(Replay::undetermined) {
        true => Err(ExitWith::ENVIRONMENT.into()),
        false => Ok(()),
    }
}

/// Pairs each scenario with the requested engines that it applies to. An engine that is requested
/// by its own name must be one of them.
fn pairs<'a>(
    scenarios: &'a [Scenario],
    requested: &[String],
) -> anyhow::Result<Vec<(&'a Scenario, String)>> {
    let (engines, mut pairs) = (selected_engines(requested)?, Vec::new());
    for scenario in scenarios {
        let name = &scenario.name;
        let families = scenario.families().collect::<Vec<_>>().join(", ");
        let before = pairs.len();
        for engine in &engines {
            if scenario.supports(&Definition::named(engine)?.family.name) {
                pairs.push((scenario, engine.clone()));
            } else if requested.contains(engine) {
                bail!("scenario {name} does not apply to {engine}; it applies to: {families}");
            }
        }
        if pairs.len() == before {
            let engines = requested.join(", ");
            bail!("scenario {name} does not apply to {engines}; it applies to: {families}");
        }
    }
    Ok(pairs)
}

/// Assembles the guests of all `pairs`. Replays boot, so no snapshots are needed.
fn prepare_guests<'a>(
    pairs: &'a [(&Scenario, String)],
    accelerator: AcceleratorChoice,
) -> anyhow::Result<BTreeMap<&'a str, Guest>> {
    let options = PrepareOptions { accelerator, snapshot: false, ..PrepareOptions::default() };
    let mut guests = BTreeMap::new();
    for (_, engine) in pairs {
        if let Entry::Vacant(entry) = guests.entry(engine.as_str()) {
            entry.insert(prepare_guest(engine, &options)?);
        }
    }
    Ok(guests)
}

/// Replays one scenario, prints the result, and appends it to `replays`, even if the replay ends
/// early.
fn replay_scenario(
    scenario: &Scenario,
    guest: &Guest,
    args: &Args,
    replays: &mut Vec<Replay>,
) -> anyhow::Result<()> {
    let options = Options {
        strategies: args.wait.clone(),
        runs: args.runs.into(),
        timeout: Duration::from_secs(args.timeout),
        accelerator: args.accel,
    };
    let line = StatusLine::new();
    let mut replayed = Replay::new(scenario, guest);
    let mut report = |event: Event<'_>| match event {
        Event::Progress(status) => line.set(status),
        Event::Finished(run) => replayed.runs.push(run.clone()),
    };
    let result = block_on(interruptible(replay(scenario, guest, &options, &mut report)));
    drop(line);
    if !replayed.runs.is_empty() {
        if !args.json {
            let mut output = ReportFile::results(&args.report);
            write!(output, "{}", terminal::replay(&replayed, args.timeline))?;
        }
        replays.push(replayed);
    }
    result
}

/// Prints the outcomes that are not what the scenarios say, and returns whether there are any.
fn print_differences(replays: &[Replay]) -> anyhow::Result<bool> {
    let mut different = false;
    for replay in replays {
        for run in replay.differences() {
            let (scenario, engine, strategy) = (&replay.scenario, &replay.engine, &run.strategy);
            let names = if replay.breaks.contains(strategy) { "names" } else { "does not name" };
            let outcome = terminal::outcome(run.outcome);
            writeln!(
                stderr(),
                "{scenario} on {engine}, {strategy}: {outcome}, but `breaks` {names} the strategy"
            )?;
            different = true;
        }
    }
    Ok(different)
}

/// Lists the scenarios that apply to all requested engines, and their families.
fn list(requested: &[String]) -> anyhow::Result<()> {
    let engines = if requested.is_empty() { Vec::new() } else { selected_engines(requested)? };
    let families = engines.iter().map(|engine| Ok(Definition::named(engine)?.family.name));
    let families = families.collect::<anyhow::Result<Vec<_>>>()?;
    for name in Scenario::names() {
        let scenario = Scenario::named(name)?;
        if families.iter().all(|family| scenario.supports(family)) {
            let applies_to = scenario.families().collect::<Vec<_>>().join(", ");
            let title = text::paragraph(&format!("{name:<22} "), 23, &scenario.title);
            writeln!(stdout(), "{title}\n{:<22} {applies_to}", "")?;
        }
    }
    Ok(())
}
