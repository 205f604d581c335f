//! `seatrial explain`: shows where everything in a recipe's image comes from.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::{Value, json};

use super::args::RecipeArgs;
use super::streams::{pretty_json, stdout};
use crate::build::{
    ExplainedField, ExplainedPath, ExplainedVariable, Explanation, Origin, explain, explain_path,
};
use crate::image::Platform;
use crate::text::{self, suggest};

/// Shows where variables, config fields, layers and files of a recipe's image come from
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A path is explained by building the image into a temporary file, which also runs
its steps unless they are cached. Everything else takes no building.

Examples:
  seatrial explain app.toml              # everything but files
  seatrial explain app.toml PATH         # a variable
  seatrial explain app.toml Entrypoint   # a field of config
  seatrial explain app.toml /etc/passwd  # a file or folder")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,

    /// Path in the image, variable, field of config, or fact such as `created`
    #[arg(value_name = "PATH|ENV|FIELD")]
    query: Option<String>,

    /// Select one of the recipe's platforms, or set that of a recipe without
    /// `platforms` [default: the host's]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const WIDTH: usize = 80;
/// The column in which origins begin.
const ORIGINS: usize = 46;
/// The most entries of a folder that are listed as text.
const ENTRIES_MAX: usize = 40;

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let access = args.recipe.build.access().reading();
    let plan = args.recipe.plan_selected(args.platform.as_ref(), &access)?;
    let query = args.query.as_deref();
    if let Some(path) = query.filter(|query| query.starts_with('/')) {
        let explained =
            explain_path(&plan, path, args.recipe.build.threads(), args.recipe.build.cache())?;
        return print(args, &json!({ "path": explained }), || render_path(&explained));
    }
    let explanation = explain(&plan)?;
    match query {
        None => print(args, &serde_json::to_value(&explanation)?, || render(&explanation)),
        Some(query) => {
            let (json, text) = find(&explanation, query)?;
            print(args, &json, || text)
        }
    }
}

fn print(args: &Args, value: &Value, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    match args.json {
        true => writeln!(stdout(), "{}", pretty_json(value)?)?,
        false => write!(stdout(), "{}", text())?,
    }
    Ok(())
}

/// Finds a variable or a field by its name, in JSON and as text.
fn find(explanation: &Explanation, query: &str) -> anyhow::Result<(Value, String)> {
    let name = query.strip_prefix("config.").unwrap_or(query);
    let mut fields = explanation.config.iter().chain(&explanation.image);
    if name == "Env" {
        let lines: Vec<String> = explanation.env.iter().map(variable_line).collect();
        return Ok((json!({ "env": explanation.env }), lines.concat()));
    }
    if let Some(field) = fields.clone().find(|field| field.name == name) {
        return Ok((json!({ "field": field }), render_field(field)));
    }
    if let Some(variable) = explanation.env.iter().find(|variable| variable.name == query) {
        return Ok((json!({ "env": variable }), render_variable(variable)));
    }
    let names = explanation.env.iter().map(|variable| variable.name.as_str());
    let known = names.chain(fields.by_ref().map(|field| field.name.as_str()));
    let known: Vec<&str> = known.collect();
    let nearest = suggest::nearest(name, known.iter().copied());
    let (query, hint) = (text::quote(query), suggest::hint(&nearest));
    anyhow::bail!("the image has no variable or field {query}{hint} (paths begin with a slash)")
}

/// Renders everything but files.
fn render(explanation: &Explanation) -> String {
    let mut output = String::new();
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = write!(output, "{title}\n{}", lines.concat());
        }
    };
    section("image", explanation.image.iter().map(field_line).collect());
    section("environment", explanation.env.iter().map(variable_line).collect());
    section("config", explanation.config.iter().map(field_line).collect());
    let layers = explanation.layers.iter();
    let layer = |number: usize, origin: &Origin| {
        format!("{}\n", truncate(&format!("  {number:>3}  {}", shown(origin)), WIDTH))
    };
    section("layers", layers.map(|explained| layer(explained.number, &explained.origin)).collect());
    output
}

fn shown(origin: &Origin) -> String {
    text::shorten(&origin.to_string()).into_owned()
}

fn field_line(field: &ExplainedField) -> String {
    line(&format!("{} {}", field.name, value(&field.value)), &field.origin)
}

fn variable_line(variable: &ExplainedVariable) -> String {
    line(&format!("{}={}", variable.name, variable.value), &variable.origin)
}

/// A value as text: strings without quotes.
fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Renders a line with its origin, which is below it if there is no space.
fn line(text: &str, origin: &Origin) -> String {
    let text = truncate(&text::shorten(text), WIDTH - 2);
    let origin = truncate(&shown(origin), WIDTH - 6);
    let width = text.chars().count() + 2;
    match width < ORIGINS && origin.chars().count() <= WIDTH - ORIGINS {
        true => format!("  {text:<pad$}{origin}\n", pad = ORIGINS - 2),
        false => format!("  {text}\n      {origin}\n"),
    }
}

fn render_variable(variable: &ExplainedVariable) -> String {
    let mut output = format!("{}\n", text::shorten(&variable.name));
    let _ = writeln!(output, "  value     {}", text::excerpt(&variable.value));
    let _ = writeln!(output, "  from      {}", shown(&variable.origin));
    if let Some(replaced) = &variable.replaces {
        let _ = writeln!(output, "  replaces  {} (base image)", text::excerpt(replaced));
    }
    output
}

fn render_field(field: &ExplainedField) -> String {
    let (name, value) = (text::shorten(&field.name), value(&field.value));
    let value = text::excerpt(&value);
    format!("{name}\n  value     {value}\n  from      {}\n", shown(&field.origin))
}

fn render_path(path: &ExplainedPath) -> String {
    let mut output = format!("{}\n", path.path);
    let target = path.target.as_ref().map(|target| format!(" to {target}")).unwrap_or_default();
    let mode = match (&path.mode, path.uid, path.gid) {
        (Some(mode), Some(uid), Some(gid)) => format!(", {mode} {uid}:{gid}"),
        _ => String::new(),
    };
    let _ = writeln!(output, "  kind      {}{target}{mode}", path.kind);
    if let Some(layer) = path.layer {
        let _ = writeln!(output, "  layer     {layer}");
    }
    let _ = writeln!(output, "  from      {}", shown(&path.origin));
    if let Some(source) = &path.source {
        let _ = writeln!(output, "  file      {source}");
    }
    if path.in_base {
        let _ = writeln!(output, "  replaces  the path in the base image");
    }
    if !path.entries.is_empty() {
        let _ = writeln!(output, "  contains");
    }
    for entry in path.entries.iter().take(ENTRIES_MAX) {
        let layer = entry.layer.map_or_else(String::new, |layer| layer.to_string());
        let name = truncate(&entry.name, 28);
        let text = format!("    {name:<28} {layer:>3}  {}", shown(&entry.origin));
        let _ = writeln!(output, "{}", truncate(&text, WIDTH));
    }
    if path.entries.len() > ENTRIES_MAX {
        let more = path.entries.len() - ENTRIES_MAX;
        let _ = writeln!(output, "    ({more} more; --json lists all)");
    }
    output
}

fn truncate(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 3).chain("...".chars()).collect()
}
