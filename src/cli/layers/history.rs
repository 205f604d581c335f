//! `--history`: measures strategies over earlier builds, and proposes a layer plan.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use indicatif::BinaryBytes;

use super::args::Args;
use crate::build::{Plan, Recipe, read_path_graph};
use crate::cli::args::{BuildArgs, is_recipe};
use crate::cli::exit::UsageError;
use crate::cli::images::Access;
use crate::cli::output::{is_stdout, results, write_text};
use crate::cli::overwrite::OutputCheck;
use crate::cli::streams::{messages, pretty_json};
use crate::layering::{Measurement, PathGraph, measure, propose};
use crate::text;

/// The budgets that are measured, in layers with store paths.
const BUDGETS: [usize; 3] = [10, 40, 100];

pub(super) fn run(args: &Args, current: &Plan, access: &Access<'_>) -> anyhow::Result<()> {
    if let Some(path) = &args.write_plan {
        let mut outputs = OutputCheck::default();
        outputs.add_recipe(current.recipe());
        args.history.iter().for_each(|build| outputs.add_argument(build));
        // The next plan replaces the last one.
        current.recipe().layering_file.iter().for_each(|plan| outputs.allow(plan));
        outputs.add_output(path, "--write-plan")?;
    }
    let mut builds: Vec<PathGraph> = Vec::new();
    for path in &args.history {
        builds.push(build(path, current, &args.recipe.build, access)?);
    }
    builds.push(current.path_graph()?);
    if builds.iter().all(PathGraph::is_empty) {
        let problem = "there is nothing to measure: the image has no store paths; if its contents \
                       have a database of packages, set package_layers = true in the recipe";
        return Err(UsageError(problem).into());
    }
    let learn = args.learn.unwrap_or(builds.len().div_ceil(2));
    if learn == 0 || learn >= builds.len() {
        return Err(UsageError("--learn must leave at least one later build to measure").into());
    }
    let measured = measure(&builds, learn, &BUDGETS)?;
    let available = current.available_layers();
    let last = builds.last().context("there is no build")?;
    let proposed = propose(last, &builds, available);
    if let Some(path) = &args.write_plan {
        write_text(path, &(pretty_json(&proposed)? + "\n"))?;
        if !is_stdout(path) {
            writeln!(messages(), "wrote the layer plan {}", text::path(path))?;
        }
    }
    let mut output = results(args.write_plan.as_deref().is_some_and(is_stdout));
    match args.json {
        true => {
            let object = serde_json::json!({
                "builds": builds.len(),
                "learned": learn,
                "measured": measured,
                "plan": proposed,
            });
            writeln!(output, "{}", pretty_json(&object)?)?;
        }
        false => write!(output, "{}", render(&measured, builds.len(), learn))?,
    }
    Ok(())
}

/// The paths of an earlier build.
fn build(
    path: &Path,
    current: &Plan,
    args: &BuildArgs,
    access: &Access<'_>,
) -> anyhow::Result<PathGraph> {
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    match &current.recipe().store {
        Some(store) if !is_toml => Ok(read_path_graph(path, store)?),
        _ if is_recipe(path) => Ok(args.plan_other(Recipe::read(path)?, access)?.path_graph()?),
        _ => Err(UsageError("--history takes recipes and reference graphs").into()),
    }
}

fn render(measured: &[Measurement], builds: usize, learn: usize) -> String {
    let updates = match builds - learn {
        1 => "1 update".to_owned(),
        updates => format!("{updates} updates"),
    };
    let mut output = format!(
        "bytes shipped per update, {updates} after the first {learn} of {builds} builds\n\n\
         {:<12}{:>7}{:>14}{:>14}\n",
        "strategy", "layers", "median", "total"
    );
    for measurement in measured {
        let layers = measurement.layers.map_or("any".to_owned(), |layers| layers.to_string());
        let median = BinaryBytes(measurement.median()).to_string();
        let total = BinaryBytes(measurement.total()).to_string();
        output += &format!("{:<12}{layers:>7}{median:>14}{total:>14}\n", measurement.strategy);
    }
    output + &advice(measured)
}

/// The strategy that shipped the fewest bytes with each budget, in a sentence.
fn advice(measured: &[Measurement]) -> String {
    let mut output = "\n".to_owned();
    for budget in BUDGETS {
        let of_budget = || measured.iter().filter(|one| one.layers == Some(budget));
        let best: Vec<&str> = of_budget()
            .filter(|one| of_budget().all(|other| one.total() <= other.total()))
            .map(|one| one.strategy)
            .collect();
        match best.as_slice() {
            [] => {}
            [one] => output += &format!("with {budget} layers, {one} ships the least\n"),
            _ if best.len() == of_budget().count() => {
                output += &format!("with {budget} layers, all ship the same\n");
            }
            several => {
                let names = several.join(", ");
                output += &format!("with {budget} layers, these ship the least: {names}\n");
            }
        }
    }
    output
}
